package daemon

import (
	"runtime/debug"
	"runtime/metrics"
)

// limitMemory gives back what loading a snapshot took, and bounds what the work with it takes beyond what it is itself:
// near the bound garbage is collected more often, so that bursts do not make the process grow. A GOMEMLIMIT in the
// environment wins.
func (d *Daemon) limitMemory(snap *Snapshot) {
	debug.FreeOSMemory()
	bound := int64(snap.Settings.Limits.Memory)
	if _, set := d.opt.LookupEnv("GOMEMLIMIT"); set || bound == 0 {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetMemoryLimit(int64(live[0].Value.Uint64()) + bound)
}
