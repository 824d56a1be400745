//go:build !unix

package loadtest

// processor is the processor time that this process has used, in seconds; 0: not known here.
func processor() float64 { return 0 }
