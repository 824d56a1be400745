package daemon

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/erbd/erbd/engine/config"
)

func TestMemoryIsBounded(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	env := os.LookupEnv
	d := &Daemon{opt: Options{LookupEnv: func(name string) (string, bool) { return env(name) }}}
	snap := &Snapshot{Settings: &config.Settings{}}

	d.limitMemory(snap)
	assert.Equal(t, int64(math.MaxInt64), debug.SetMemoryLimit(-1), "0 is no bound")

	snap.Settings.Limits.Memory = 160 << 20
	env = func(name string) (string, bool) { return "1GiB", name == "GOMEMLIMIT" }
	d.limitMemory(snap)
	assert.Equal(t, int64(math.MaxInt64), debug.SetMemoryLimit(-1), "the environment wins")

	env = func(string) (string, bool) { return "", false }
	table := make([]byte, 64<<20)
	d.limitMemory(snap)
	assert.GreaterOrEqual(t, debug.SetMemoryLimit(-1), int64(len(table)+160<<20), "what is loaded comes on top")
	runtime.KeepAlive(table)
}
