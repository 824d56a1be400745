package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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

// TestDamagedStore spoils a message that waits: the others are delivered, and what was lost is told everywhere, after
// another restart, too.
func TestDamagedStore(t *testing.T) {
	lrs := newLRS(t)
	lrs.down.Store(true)
	dir := t.TempDir()
	p := newProcess(t, dir, lrs.URL)
	p.run()
	js := p.connect()
	for n := range 10 { // one by one: events that come together share a message, and its fate
		require.NoError(t, p.publish(js, n))
		p.until("it is transformed", func() bool {
			s := p.status()
			return len(s.Routers) == 1 && s.Routers[0].Routed == uint64(n+1)
		})
	}
	p.end(syscall.SIGTERM)
	block := filepath.Join(dir, "jetstream", "$G", "streams", stream.OutStream, "msgs", "1.blk")
	b, err := os.ReadFile(block)
	require.NoError(t, err)
	at := bytes.Index(b, []byte(`"id":"e4"`))
	require.Positive(t, at)
	b[at+7] = 'X'
	require.NoError(t, os.WriteFile(block, b, 0o600))
	p.run()
	lrs.down.Store(false)
	p.until("the others are delivered", func() bool { unique, _ := lrs.count("a"); return unique >= 9 })
	for range 2 {
		assert.Contains(t, p.get("/metrics"), "\nerb_store_lost_messages 1\n")
		code, out, _ := erbd(t.Context(), nil, "status", "--config", p.path("erbd.yaml"))
		assert.Zero(t, code)
		assert.Regexp(t, `(?m)^damage of the store, found at .*: stream ERB_OUT, messages lost \(at most\): 1: \d+ of \d+ bytes of block 1 are unreadable, a copy is in `, out)
		p.end(syscall.SIGTERM)
		p.run()
	}
	p.end(syscall.SIGTERM)
	unique, _ := lrs.count("a")
	assert.Equal(t, 9, unique)
	assert.Equal(t, 1, strings.Count(p.log.String(), "the store is damaged"), "logged once")
	kept, err := os.ReadDir(filepath.Join(dir, "damaged"))
	require.NoError(t, err)
	assert.Len(t, kept, 1)
}

// TestKilledStoreIsSound kills a daemon amid the batches of publishers, again and again: that damages nothing, what was
// acknowledged is delivered, and so is what was not, once it is published again under the same ids. ERBD_TORTURE=full
// does it more often.
func TestKilledStoreIsSound(t *testing.T) {
	kills := 3
	if os.Getenv("ERBD_TORTURE") == "full" {
		kills = 30
	}
	lrs := newLRS(t)
	p := newProcess(t, t.TempDir(), lrs.URL)
	event := func(n int) stream.Message {
		return stream.Message{Subject: stream.PublishSubject, ID: "e" + strconv.Itoa(n), Data: []byte(play(n))}
	}
	n := 0
	var refused []int
	random := rand.New(rand.NewPCG(7, 7))
	publisher := func() *stream.Publisher {
		js := p.connect()
		f, err := stream.Detect(t.Context(), js.Conn(), js)
		require.NoError(t, err)
		return stream.NewPublisher(js.Conn(), js, f, true)
	}
	for range kills {
		p.run()
		pub := publisher()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(100+random.IntN(300))*time.Millisecond, func() {
			p.cmd.Process.Kill() //nolint:errcheck // waited for below
			time.AfterFunc(100*time.Millisecond, cancel)
		})
		for ctx.Err() == nil {
			var batch []stream.Message
			for range 1 + random.IntN(50) {
				n++
				batch = append(batch, event(n))
			}
			var failed *stream.PublishError
			if errors.As(pub.Publish(ctx, batch...), &failed) {
				for i := range failed.Failed {
					refused = append(refused, n-len(batch)+1+i)
				}
			}
		}
		p.cmd.Wait() //nolint:errcheck // it was killed
	}
	p.run()
	assert.Contains(t, p.get("/metrics"), "\nerb_store_damages 0\n")
	pub := publisher()
	for _, id := range refused {
		require.NoError(t, pub.Publish(t.Context(), event(id)))
	}
	p.until("all are delivered", func() bool { unique, _ := lrs.count("a"); return unique >= n })
	p.end(syscall.SIGTERM)
	assert.NotContains(t, p.log.String(), "the store is damaged")
	unique, repeated := lrs.count("a")
	assert.Equal(t, n, unique)
	t.Logf("%d events, %d not acknowledged at first, %d delivered more than once", n, len(refused), repeated)
}
