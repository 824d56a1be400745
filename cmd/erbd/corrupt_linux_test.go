package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/stream"
)

// TestIntakeStartsOver takes the messages of the intake away from a stopped daemon, so that their numbers come again:
// new events must be neither passed over nor taken for old ones.
func TestIntakeStartsOver(t *testing.T) {
	lrs := newLRS(t)
	lrs.down.Store(true)
	dir := t.TempDir()
	p := newProcess(t, dir, lrs.URL)
	p.run()
	js := p.connect()
	for n := range 10 {
		require.NoError(t, p.publish(js, n))
	}
	p.until("all are transformed", func() bool {
		s := p.status()
		return len(s.Routers) == 1 && s.Routers[0].Routed == 10
	})
	p.end(syscall.SIGTERM)
	raw := filepath.Join(dir, "jetstream", "$G", "streams", stream.RawStream)
	require.NoError(t, os.RemoveAll(filepath.Join(raw, "msgs")))
	p.run()
	for n := range 10 {
		p.until("published", func() bool { return p.publish(js, 10+n) == nil })
	}
	lrs.down.Store(false)
	p.until("all are delivered", func() bool { unique, _ := lrs.count("a"); return unique >= 20 })
	unique, _ := lrs.count("a")
	assert.Equal(t, 20, unique)
	p.end(syscall.SIGTERM)
}
