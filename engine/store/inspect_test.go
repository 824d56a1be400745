package store

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/stream"
)

const (
	// The intake of the store that is damaged: messages 1 to 100 in several blocks, of which every third and all up to
	// 20 are done with.
	sampleMessages = 100
	// sampleBytes bounds the intake so that the server makes blocks of 32 KB.
	sampleBytes = 120_000
)

// opened is a server on a store, with what a daemon does around it.
type opened struct {
	server    *stream.Embedded
	nc        *nats.Conn
	js        jetstream.JetStream
	inventory *Inventory
}

func open(t *testing.T, dir string) *opened {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	o := &opened{inventory: NewInventory(dir, log)}
	var err error
	o.server, err = stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: dir, Relaxed: true, Logger: log, Opening: o.inventory.Inspect, Closed: o.inventory.Close})
	require.NoError(t, err)
	o.nc, err = o.server.Connect("test")
	require.NoError(t, err)
	o.js, err = jetstream.New(o.nc)
	require.NoError(t, err)
	f, err := stream.Detect(t.Context(), o.nc, o.js)
	require.NoError(t, err)
	top := stream.Topology{Backends: []string{"xapi"}, RawBytes: sampleBytes, AckWait: time.Second}
	require.NoError(t, top.Ensure(t.Context(), o.js, f))
	_, err = o.js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: strings.TrimPrefix(Streams[3], "KV_"), Storage: jetstream.FileStorage})
	require.NoError(t, err)
	o.inventory.CheckServer(t.Context(), o.js)
	return o
}

func (o *opened) close(t *testing.T) {
	t.Helper()
	o.inventory.Note(t.Context(), o.js)
	o.nc.Close()
	require.NoError(t, o.server.Close())
}

func (o *opened) publish(t *testing.T, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		data := []byte(strings.Repeat(fmt.Sprintf("message %d ", n), 70))
		_, err := o.js.Publish(t.Context(), stream.PublishSubject, data, jetstream.WithMsgID(fmt.Sprint(n)))
		require.NoError(t, err)
	}
}

// stored are the messages that the intake has.
func (o *opened) stored(t *testing.T) map[int]bool {
	t.Helper()
	s, err := o.js.Stream(t.Context(), stream.RawStream)
	require.NoError(t, err)
	st := s.CachedInfo().State
	out := map[int]bool{}
	for seq := st.FirstSeq; seq <= st.LastSeq && st.Msgs > 0; seq++ {
		if m, err := s.GetMsg(t.Context(), seq); err == nil {
			n, err := strconv.Atoi(m.Header.Get(nats.MsgIdHdr))
			require.NoError(t, err)
			out[n] = true
		}
	}
	return out
}

// take fetches until last has come or nothing comes any more, and acknowledges what done says.
func (o *opened) take(t *testing.T, last int, done func(n int) bool) map[int]bool {
	t.Helper()
	c, err := o.js.Consumer(t.Context(), stream.RawStream, stream.TransformDurable("xapi"))
	require.NoError(t, err)
	got := map[int]bool{}
	quiet := time.Now()
	for time.Since(quiet) < 1500*time.Millisecond { // longer than AckWait: what was under way comes again
		b, err := c.Fetch(1000, jetstream.FetchMaxWait(100*time.Millisecond))
		require.NoError(t, err)
		for m := range b.Messages() {
			n, err := strconv.Atoi(m.Headers().Get(nats.MsgIdHdr))
			require.NoError(t, err)
			require.Equal(t, strings.Repeat(fmt.Sprintf("message %d ", n), 70), string(m.Data()))
			if !got[n] {
				quiet = time.Now()
			}
			got[n] = true
			if done(n) {
				require.NoError(t, m.DoubleAck(t.Context()))
			}
		}
		info, err := c.Info(t.Context())
		require.NoError(t, err)
		if got[last] && info.NumPending == 0 && info.NumAckPending == 0 {
			break
		}
	}
	return got
}

// sample is a store as a stop leaves it, and as a crash does.
type sample struct{ clean, crashed string }

func dealtWith(n int) bool { return n <= 20 || n%3 == 0 && n <= 60 }

func newSample(t *testing.T) sample {
	t.Helper()
	s := sample{t.TempDir(), t.TempDir()}
	o := open(t, s.clean)
	o.publish(t, 1, sampleMessages)
	c, err := o.js.Consumer(t.Context(), stream.RawStream, stream.TransformDurable("xapi"))
	require.NoError(t, err)
	b, err := c.Fetch(60)
	require.NoError(t, err)
	for m := range b.Messages() {
		if n, _ := strconv.Atoi(m.Headers().Get(nats.MsgIdHdr)); dealtWith(n) {
			require.NoError(t, m.DoubleAck(t.Context()))
		}
	}
	o.inventory.Note(t.Context(), o.js)
	time.Sleep(300 * time.Millisecond) // the server writes the states of consumers a little later
	require.NoError(t, os.CopyFS(filepath.Join(s.crashed, "store"), os.DirFS(s.clean)))
	s.crashed = filepath.Join(s.crashed, "store")
	o.close(t)
	return s
}

// damages are ways to spoil a file; the numbers are random ones.
var damages = map[string]func(b []byte, r *rand.Rand) []byte{
	"cut short": func(b []byte, r *rand.Rand) []byte { return b[:r.IntN(len(b))] },
	"empty":     func([]byte, *rand.Rand) []byte { return nil },
	"zeros": func(b []byte, r *rand.Rand) []byte {
		at := r.IntN(len(b))
		clear(b[at:min(len(b), at+1+r.IntN(len(b)/3+1))])
		return b
	},
	"other bytes": func(b []byte, r *rand.Rand) []byte {
		at := r.IntN(len(b))
		for i := at; i < min(len(b), at+1+r.IntN(len(b)/3+1)); i++ {
			b[i] = byte(r.Uint32())
		}
		return b
	},
	"a bit":   func(b []byte, r *rand.Rand) []byte { b[r.IntN(len(b))] ^= 1 << r.IntN(8); return b },
	"longer":  func(b []byte, r *rand.Rand) []byte { return append(b, make([]byte, 1+r.IntN(5000))...) },
	"removed": nil,
}

// TestDamage spoils the files of a store, one at a time: the server starts by itself, gives out everything that is
// still readable, takes new messages, and what is missing is told. ERBD_TORTURE=full does so in every way and ten times.
func TestDamage(t *testing.T) {
	s := newSample(t)
	raw := filepath.Join("jetstream", "$G", "streams", stream.RawStream)
	consumer := filepath.Join(raw, "obs", stream.TransformDurable("xapi"))
	indexes, err := blocks(filepath.Join(s.clean, raw, "msgs"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(indexes), 2)
	files := []string{"", filepath.Join(raw, "msgs", indexName), filepath.Join(raw, metaName), filepath.Join(raw, metaSum),
		filepath.Join(consumer, stateName), filepath.Join(consumer, metaName), filepath.Join(consumer, metaSum), heldName}
	for _, index := range indexes {
		files = append(files, filepath.Join(raw, "msgs", strconv.Itoa(index)+blockSuffix))
	}
	seeds, all := 1, false
	if os.Getenv("ERBD_TORTURE") == "full" {
		seeds, all = 10, true
	}
	kinds := slices.Sorted(maps.Keys(damages))
	for seed := range seeds {
		for _, crash := range []bool{false, true} {
			for i, file := range files {
				for k, how := range kinds {
					if file == "" && how != "empty" {
						continue // nothing is spoilt
					}
					if !all && file != "" && (i+k)%3 > 0 {
						continue // a third of them, each file and each way
					}
					name := fmt.Sprintf("seed %d/crash %v/%s/%s", seed, crash, filepath.Base(filepath.Dir(file))+" "+filepath.Base(file), how)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						from := s.clean
						if crash {
							from = s.crashed
						}
						dir := filepath.Join(t.TempDir(), "store")
						require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
						spoil(t, dir, file, how, rand.New(rand.NewPCG(uint64(seed), 1)))
						checkDamaged(t, dir, crash, file, how)
					})
				}
			}
		}
	}
}

func spoil(t *testing.T, dir, file, how string, r *rand.Rand) {
	t.Helper()
	if file == "" {
		return
	}
	path := filepath.Join(dir, file)
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return // the index is written at a stop
	}
	require.NoError(t, err)
	if spoilt := damages[how]; spoilt != nil && len(b) > 0 {
		require.NoError(t, os.WriteFile(path, spoilt(b, r), 0o600))
	} else {
		require.NoError(t, os.Remove(path))
	}
}

func checkDamaged(t *testing.T, dir string, crash bool, file, how string) {
	o := open(t, dir)
	const more = 5
	o.publish(t, sampleMessages+1, sampleMessages+more)
	got := o.take(t, sampleMessages+more, func(int) bool { return true })
	waiting := o.stored(t)
	missing := uint64(0)
	for n := 1; n <= sampleMessages+more; n++ {
		if !got[n] && !waiting[n] && !dealtWith(n) {
			missing++
			assert.LessOrEqual(t, n, sampleMessages, "what was published afterwards comes")
		}
	}
	told := uint64(0)
	losses := o.inventory.Losses()
	for _, l := range losses {
		assert.Equal(t, stream.RawStream, l.Stream)
		told += l.Messages
	}
	report, _ := json.Marshal(losses)
	unnoticed := crash && how == "removed" // a block that is gone may have been removed by the server
	if !unnoticed {
		assert.LessOrEqual(t, missing, told, "missing: %d, told: %s", missing, report)
	}
	isBlock := strings.HasSuffix(file, blockSuffix)
	if !isBlock {
		assert.Zero(t, missing, "no message is spoilt")
	}
	if file == "" || strings.HasSuffix(file, indexName) {
		assert.Empty(t, losses, "no false alarm")
	}
	if isBlock && how == "a bit" {
		assert.LessOrEqual(t, missing, uint64(2), "only what is spoilt is given up")
	}
	o.close(t)
	again := open(t, dir)
	assert.Len(t, again.inventory.Losses(), len(losses), "told again after a restart, and nothing else")
	again.close(t)
}

// TestOrphans gives a consumer a state that makes sense, but is not its own: it says that everything up to message 90 is
// done with. After a crash nothing but the messages themselves contradicts it.
func TestOrphans(t *testing.T) {
	s := newSample(t)
	state := filepath.Join(s.crashed, "jetstream", "$G", "streams", stream.RawStream, "obs", stream.TransformDurable("xapi"), stateName)
	require.NoError(t, os.WriteFile(state, []byte{consumerMagic, 2, 90, 90, 90, 90, 0, 0}, 0o600))
	o := open(t, s.crashed)
	got := o.take(t, sampleMessages, func(int) bool { return true })
	for n := 1; n <= sampleMessages; n++ {
		assert.Equal(t, !dealtWith(n), got[n], n)
	}
	assert.Empty(t, o.inventory.Losses(), "nothing is lost")
	o.close(t)
}

// TestIntakeWithoutConsumer spoils the settings of the intake's consumer: nobody may publish before it is there again,
// since the server would acknowledge events and forget them.
func TestIntakeWithoutConsumer(t *testing.T) {
	s := newSample(t)
	meta := filepath.Join(s.clean, "jetstream", "$G", "streams", stream.RawStream, "obs", stream.TransformDurable("xapi"), metaName)
	require.NoError(t, os.WriteFile(meta, []byte("{"), 0o600))
	v := NewInventory(s.clean, slog.New(slog.DiscardHandler))
	server, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: s.clean, Relaxed: true, Opening: v.Inspect, Closed: v.Close})
	require.NoError(t, err)
	nc, err := server.Connect("test")
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), stream.PublishSubject, []byte("x"))
	assert.Error(t, err)
	nc.Close()
	require.NoError(t, server.Close())

	o := open(t, s.clean)
	o.publish(t, sampleMessages+1, sampleMessages+1)
	got := o.take(t, sampleMessages+1, func(int) bool { return true })
	for n := 1; n <= sampleMessages+1; n++ {
		assert.Equal(t, !dealtWith(n), got[n], n)
	}
	o.close(t)
}
