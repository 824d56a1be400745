package loadtest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// peak is the most resident memory that a running process has had, in bytes; 0 where the system does not tell. The
// usage that a system reports of a child that has ended is no better: it starts with the memory of its parent.
func peak(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("\nVmHWM:"))
	line, _, _ := bytes.Cut(rest, []byte("kB\n"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
