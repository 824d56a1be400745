package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/store/smalldisk"
	"github.com/erbd/erbd/engine/stream"
)

const patience = time.Minute

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (r *lines) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *lines) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func (r *lines) count(text string) int { return strings.Count(r.String(), text) }

// guarded is an embedded server whose store is watched over.
type guarded struct {
	*Guard
	t      *testing.T
	server *stream.Embedded
	nc     *nats.Conn
	js     jetstream.JetStream
	pub    *stream.Publisher
	log    *lines
	// restored counts the calls of Options.Restored.
	restored chan struct{}
}

func newGuarded(t *testing.T, dir string, reserve int64) *guarded {
	t.Helper()
	g := &guarded{t: t, log: &lines{}, restored: make(chan struct{}, 100)}
	log := slog.New(slog.NewTextHandler(g.log, nil))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(g.log.String())
		}
	})
	var err error
	g.server, err = stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: dir, Logger: log})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, g.server.Close()) })
	g.nc, err = g.server.Connect("test")
	require.NoError(t, err)
	t.Cleanup(g.nc.Close)
	g.js, err = jetstream.New(g.nc)
	require.NoError(t, err)
	f, err := stream.Detect(t.Context(), g.nc, g.js)
	require.NoError(t, err)
	top := stream.Topology{Backends: []string{"xapi"}}
	g.Guard = New(Options{
		Server: g.server, Conn: g.nc, Reserve: reserve, Log: log,
		Intake: func(ctx context.Context, open bool) error {
			top := top
			top.Closed = !open
			return top.EnsureIntake(ctx, g.js, f)
		},
		Restored: func(context.Context) { g.restored <- struct{}{} },
	})
	top.Closed = g.Closed()
	require.NoError(t, top.Ensure(t.Context(), g.js, f))
	g.pub = stream.NewPublisher(g.nc, g.js, f, true)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { g.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return g
}

func (g *guarded) until(state string) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.Status().State == state }, patience, 10*time.Millisecond, state)
}

func (g *guarded) publish(ids ...string) error {
	var msgs []stream.Message
	for _, id := range ids {
		msgs = append(msgs, stream.Message{Subject: stream.PublishSubject, ID: id, Data: payload(id)})
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Second) // a failed write has no answer
	defer cancel()
	return g.pub.Publish(ctx, msgs...)
}

// payload is the 20 KB of a message.
func payload(id string) []byte { return []byte(id + strings.Repeat(" "+id, 20<<10/(len(id)+1))) }

// stored are the ids of what the intake holds, each with how often.
func (g *guarded) stored() map[string]int {
	g.t.Helper()
	s, err := g.js.Stream(context.Background(), stream.RawStream)
	require.NoError(g.t, err)
	out := map[string]int{}
	st := s.CachedInfo().State
	for seq := st.FirstSeq; seq <= st.LastSeq && st.Msgs > 0; seq++ {
		m, err := s.GetMsg(context.Background(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // a number that a failed write used up
		}
		require.NoError(g.t, err)
		id := m.Header.Get(nats.MsgIdHdr)
		require.Equal(g.t, string(payload(id)), string(m.Data))
		out[id]++
	}
	return out
}

// TestFullDisk fills the disk under publishers that do without the reserve, batches and single messages: what was
// acknowledged is there, what was not is taken again under the same ids, and none of it needs a restart.
func TestFullDisk(t *testing.T) {
	if !smalldisk.Inside(t) {
		return
	}
	for _, batch := range []int{1, 7} {
		t.Run(fmt.Sprint("batch of ", batch), func(t *testing.T) {
			disk := smalldisk.Mount(t, 16<<20)
			g := newGuarded(t, filepath.Join(disk.Dir, "data"), 1) // a reserve of one byte: the disk fills before the guard sees it
			acked, refused := map[string]bool{}, map[string]bool{}
			n := 0
			burst := func() error {
				var ids []string
				for range batch {
					n++
					ids = append(ids, fmt.Sprint("m", n))
				}
				err := g.publish(ids...)
				var failed *stream.PublishError
				if err != nil {
					require.ErrorAs(t, err, &failed)
				}
				for i, id := range ids {
					if failed != nil && failed.Failed[i] != nil {
						refused[id] = true
					} else {
						acked[id] = true
					}
				}
				return err
			}
			require.NoError(t, burst())
			disk.Fill(400 << 10)
			for burst() == nil {
			}
			g.until(Down)
			assert.Contains(t, g.Status().Reason, "no space left on device")
			assert.EqualValues(t, 1, g.Status().Failures)
			assert.NotEmpty(t, g.Tight())
			assert.ErrorIs(t, g.Hold(func() error { return nil }), ErrDown)

			// Publishers get a reason, not silence: those of erbd and any other.
			require.Eventually(t, func() bool {
				_, err := g.js.Publish(t.Context(), "erb.raw.any", []byte("x"))
				return err != nil && strings.Contains(err.Error(), "erbd: the store cannot be written")
			}, patience, 50*time.Millisecond)
			err := burst()
			require.ErrorIs(t, err, stream.ErrFull)
			assert.ErrorContains(t, err, "no space left on device")

			disk.Empty()
			g.until(OK)
			<-g.restored
			stored := g.stored()
			for id := range acked {
				assert.Equal(t, 1, stored[id], "acknowledged: "+id)
			}
			for id := range refused {
				require.NoError(t, g.publish(id))
			}
			stored = g.stored()
			for n := range n {
				assert.Equal(t, 1, stored[fmt.Sprint("m", n+1)], "once and for all: %d", n+1)
			}
			assert.Equal(t, 1, g.log.count("the store cannot be written: no event"), "said once")
			assert.Equal(t, 1, g.log.count("erbd goes on"))
			assert.Less(t, strings.Count(g.log.String(), "\n"), 20, "no flood")

			disk.Fill(0)
			for burst() == nil {
			}
			g.until(Down)
			disk.Empty()
			g.until(OK)
			assert.EqualValues(t, 2, g.Status().Failures)
		})
	}
}

// TestReserve closes the intake before the disk is full; consumers go on, and it opens by itself.
func TestReserve(t *testing.T) {
	if !smalldisk.Inside(t) {
		return
	}
	disk := smalldisk.Mount(t, 64<<20)
	g := newGuarded(t, filepath.Join(disk.Dir, "data"), 0)
	require.EqualValues(t, 64<<20/20, g.Status().Reserve, "at most a twentieth of the disk")
	require.NoError(t, g.publish("a"))
	disk.Fill(3 << 20)
	g.until(Low)
	var err error
	n := 0
	require.Eventually(t, func() bool { // an id that was stored just before it closed would be a duplicate
		n++
		err = g.publish(fmt.Sprint("n", n))
		return err != nil
	}, patience, 10*time.Millisecond)
	assert.ErrorIs(t, err, stream.ErrFull)
	assert.ErrorIs(t, g.publish("c", "d"), stream.ErrFull, "batches, too")
	assert.Contains(t, g.Status().Reason, "the disk of the store is nearly full")
	assert.Empty(t, g.Tight(), "what was accepted goes on")
	c, err := g.js.Consumer(t.Context(), stream.RawStream, stream.TransformDurable("xapi"))
	require.NoError(t, err)
	m, err := c.Next(jetstream.FetchMaxWait(patience))
	require.NoError(t, err)
	require.NoError(t, m.DoubleAck(t.Context()))

	disk.Fill(1 << 20)
	require.Eventually(t, func() bool { return g.Tight() != "" }, patience, 10*time.Millisecond, "half of it is used up")

	disk.Empty()
	g.until(OK)
	require.NoError(t, g.publish("b", "c", "d"))
	assert.Equal(t, 1, g.log.count("no event is accepted until there is room"))
	assert.Equal(t, 1, g.log.count("events are accepted again"))
	assert.Zero(t, g.Status().Failures)
}

// TestReserveFromTheStart finds the disk nearly full.
func TestReserveFromTheStart(t *testing.T) {
	if !smalldisk.Inside(t) {
		return
	}
	disk := smalldisk.Mount(t, 64<<20)
	disk.Fill(2 << 20)
	g := newGuarded(t, filepath.Join(disk.Dir, "data"), 0)
	assert.True(t, g.Closed())
	assert.ErrorIs(t, g.publish("a"), stream.ErrFull)
	disk.Empty()
	g.until(OK)
	require.NoError(t, g.publish("a"))
}

func TestCheck(t *testing.T) {
	if !smalldisk.Inside(t) {
		return
	}
	disk := smalldisk.Mount(t, 1<<20)
	dir := filepath.Join(disk.Dir, "data")
	require.NoError(t, Check(dir))
	disk.Fill(0)
	err := Check(dir)
	assert.ErrorIs(t, err, ErrDown)
	assert.ErrorContains(t, err, "no space left on device")
	disk.Empty()
	disk.ReadOnly(true)
	assert.ErrorContains(t, Check(dir), "read-only file system")
	disk.ReadOnly(false)
	require.NoError(t, Check(dir))
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	assert.ErrorContains(t, Check(dir), "not a directory")
}

// TestReadOnly takes the right to write away from a store in use. An ordinary user does so by the modes of folders;
// they do not bind root, who puts a read-only mount over the store.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	freeze := func(on bool) {
		var folders []string
		require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				folders = append(folders, path)
			}
			return err
		}))
		for _, folder := range folders {
			require.NoError(t, os.Chmod(folder, map[bool]os.FileMode{true: 0o500, false: 0o700}[on]))
		}
	}
	if os.Getuid() == 0 {
		if !smalldisk.Inside(t) {
			return
		}
		freeze = func(on bool) { smalldisk.Freeze(t, dir, on) }
	}
	g := newGuarded(t, dir, 1)
	acked := map[string]bool{}
	n := 0
	publish := func() error {
		id := fmt.Sprint("m", n)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := g.js.Publish(ctx, stream.PublishSubject, make([]byte, 1<<20), jetstream.WithMsgID(id))
		if err == nil {
			acked[id] = true
			n++
		}
		return err
	}
	require.NoError(t, publish())
	freeze(true)
	defer freeze(false)
	for publish() == nil { // the block at hand can be written, the next one not
	}
	g.until(Down)
	assert.Regexp(t, "permission denied|read-only file system", g.Status().Reason)
	require.Eventually(t, func() bool {
		err := publish()
		return err != nil && strings.Contains(err.Error(), "erbd: the store cannot be written")
	}, patience, 10*time.Millisecond)
	freeze(false)
	g.until(OK)
	require.NoError(t, publish())
	s, err := g.js.Stream(t.Context(), stream.RawStream)
	require.NoError(t, err)
	assert.EqualValues(t, len(acked), s.CachedInfo().State.Msgs)
	assert.Equal(t, 1, g.log.count("the store cannot be written: no event"), "said once")
	assert.Less(t, strings.Count(g.log.String(), "\n"), 30, "no flood")
}
