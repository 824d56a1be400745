package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/stream"
	"github.com/erbd/erbd/engine/transform"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// intake is a real server with the streams of a daemon.
type intake struct {
	js  jetstream.JetStream
	pub *stream.Publisher
	max int64
}

func newIntake(t *testing.T, topology stream.Topology, edit ...func(*stream.EmbeddedOptions)) *intake {
	t.Helper()
	o := stream.EmbeddedOptions{StoreDir: t.TempDir(), Relaxed: true}
	for _, f := range edit {
		f(&o)
	}
	e, err := stream.StartEmbedded(o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	nc, err := e.Connect("test")
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	f, err := stream.Detect(t.Context(), nc, js)
	require.NoError(t, err)
	topology.Backends = []string{"xapi"}
	require.NoError(t, topology.Ensure(t.Context(), js, f))
	return &intake{js, stream.NewPublisher(nc, js, f, true), nc.MaxPayload()}
}

// events reads all that is stored.
func (i *intake) events(t *testing.T) []string {
	t.Helper()
	s, err := i.js.Stream(t.Context(), stream.RawStream)
	require.NoError(t, err)
	out := []string{}
	st := s.CachedInfo().State
	for seq := st.FirstSeq; seq > 0 && seq <= st.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		require.NoError(t, err)
		for ev, err := range stream.Events(m.Header, m.Data) {
			require.NoError(t, err)
			out = append(out, string(ev))
		}
	}
	return out
}

func input(name, text string) transform.Input {
	return transform.Input{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func lines(n int, format string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

func TestPublish(t *testing.T) {
	in := newIntake(t, stream.Topology{})
	ordinary := lines(1234, `{"name":"e%d","data":{}}`)
	more := []string{`{"name":"same","data":{}}`, `{"name":"same","data":{}}`}
	bad := "\r\n{\"name\":\"crlf\"}\r\nnonsense\n{\"nom\":1}\n[{\"name\":\"x\"}, {\"name\":\"y\"},3]\n<14>Jan 1 host tracking: {\"event_type\":\"t\",\"event\":\"{}\"}\n[]"
	var progress transform.Progress
	inputs := []transform.Input{
		input("a", strings.Join(ordinary, "\n")), input("b", strings.Join(more, "\n")), input("c", bad),
		{Name: "d", Open: func() (io.ReadCloser, error) { return nil, io.ErrNoProgress }},
		input("e", "\x1f\x8bx"), input("f", `{"name":"last"}`),
	}
	sum, err := Run(t.Context(), in.pub, inputs, Options{MaxPayload: in.max, Progress: &progress})
	require.NoError(t, err)
	want := append(ordinary, more...)
	want = append(want, `{"name":"crlf"}`, `{"name":"x"}`, `{"name":"y"}`, `<14>Jan 1 host tracking: {"event_type":"t","event":"{}"}`, `{"name":"last"}`)
	assert.ElementsMatch(t, want, in.events(t))
	assert.EqualValues(t, len(want), sum.Published)
	assert.EqualValues(t, 1234+2+7+1, sum.Lines)
	assert.EqualValues(t, 1, sum.Blank)
	assert.EqualValues(t, 3, sum.Refused)
	assert.EqualValues(t, (len(want)+packItems-1)/packItems, sum.Messages)
	assert.Equal(t, sum.Lines, progress.Lines.Load())
	assert.Nil(t, sum.Next)
	require.Len(t, sum.Errors, 2)
	assert.ErrorIs(t, sum.Errors[0], io.ErrNoProgress)
	assert.Equal(t, []transform.InvalidLine{
		{Input: "c", Line: 3, Reason: "event is not a json object"}, {Input: "c", Line: 4, Reason: "event has no name"}, {Input: "c", Line: 5, Reason: "event is not a json object"},
	}, sum.RefusedLines)

	// Again: nothing is stored twice, unless it is to be.
	_, err = Run(t.Context(), in.pub, inputs, Options{MaxPayload: in.max})
	require.NoError(t, err)
	assert.Equal(t, len(want), len(in.events(t)))
	_, err = Run(t.Context(), in.pub, inputs, Options{Again: true})
	require.NoError(t, err)
	assert.Equal(t, 2*len(want), len(in.events(t)))
}

func TestEqualEventsAreKept(t *testing.T) {
	in := newIntake(t, stream.Topology{})
	same := strings.Repeat("{\"name\":\"same\"}\n", 1000)
	for range 2 {
		sum, err := Run(t.Context(), in.pub, []transform.Input{input("a", same)}, Options{})
		require.NoError(t, err)
		assert.EqualValues(t, 1000, sum.Published)
		assert.Len(t, in.events(t), 1000)
	}
}

func TestLargeEvents(t *testing.T) {
	in := newIntake(t, stream.Topology{}, func(o *stream.EmbeddedOptions) { o.MaxPayload = 64 << 10 })
	text := func(n int) string { return `{"name":"` + strings.Repeat("x", n-11) + `"}` }
	log := strings.Join([]string{text(40 << 10), text(50 << 10), text(63 << 10), text(100 << 10), text(1000), text(300)}, "\n")
	sum, err := Run(t.Context(), in.pub, []transform.Input{input("a", log)}, Options{MaxPayload: in.max, Limits: event.Limits{MaxBytes: 80 << 10}})
	require.NoError(t, err)
	assert.EqualValues(t, 4, sum.Published)
	require.Len(t, sum.RefusedLines, 2)
	assert.Contains(t, sum.RefusedLines[0].Reason, "the message server does not take 64512 bytes (status 413)")
	assert.Contains(t, sum.RefusedLines[1].Reason, "event is too large")

	// Where the limit is not known, packs are taken apart.
	other := newIntake(t, stream.Topology{}, func(o *stream.EmbeddedOptions) { o.MaxPayload = 64 << 10 })
	sum, err = Run(t.Context(), other.pub, []transform.Input{input("a", log)}, Options{})
	require.NoError(t, err)
	assert.EqualValues(t, 5, sum.Published)
	assert.EqualValues(t, 1, sum.Refused)
}

// TestFull waits until there is room.
func TestFull(t *testing.T) {
	in := newIntake(t, stream.Topology{RawBytes: 200 << 10})
	all := lines(5000, `{"name":"event %d","data":{"text":"`+strings.Repeat("x", 100)+`"}}`)
	var mu sync.Mutex
	var said []string
	full := make(chan struct{})
	done := make(chan *Summary, 1)
	go func() {
		sum, err := Run(t.Context(), in.pub, []transform.Input{input("a", strings.Join(all, "\n"))}, Options{Waiting: func(s string) {
			mu.Lock()
			defer mu.Unlock()
			if said = append(said, s); len(said) == 1 {
				close(full)
			}
		}})
		assert.NoError(t, err)
		done <- sum
	}()
	<-full
	c, err := in.js.Consumer(t.Context(), stream.RawStream, stream.TransformDurable("xapi"))
	require.NoError(t, err)
	got := map[string]bool{}
	for len(got) < len(all) {
		msgs, err := c.Fetch(100, jetstream.FetchMaxWait(200*time.Millisecond))
		require.NoError(t, err)
		for m := range msgs.Messages() {
			for ev := range stream.Events(m.Headers(), m.Data()) {
				got[string(ev)] = true
			}
			require.NoError(t, m.DoubleAck(t.Context()))
		}
	}
	sum := <-done
	assert.EqualValues(t, len(all), sum.Published)
	assert.Equal(t, "the intake is full, or the disk of the daemon: waiting for room (erbd status tells)", said[0])
	assert.Empty(t, said[len(said)-1])
}

// TestInterrupt reads a pipe that never ends.
func TestInterrupt(t *testing.T) {
	in := newIntake(t, stream.Topology{})
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(w, "{\"name\":\"a\"}\n{\"name\":\"b\"}\n")
		for len(in.events(t)) < 2 { // read lines do not wait for more
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	sum, err := Run(ctx, in.pub, []transform.Input{{Name: "-", Open: func() (io.ReadCloser, error) { return r, nil }}}, Options{})
	require.NoError(t, err)
	assert.True(t, sum.Interrupted)
	assert.EqualValues(t, 2, sum.Published)
	assert.Equal(t, &Place{"-", 3}, sum.Next)
	assert.Equal(t, "-:3", sum.Next.String())
}

// faithful reads until its context ends, and says so.
type faithful struct{ ctx context.Context }

func (f faithful) Read([]byte) (int, error) { <-f.ctx.Done(); return 0, f.ctx.Err() }
func (f faithful) Close() error             { return nil }

// TestInterruptedInput: the end of the context is no fault of the input.
func TestInterruptedInput(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		sum, err := Run(ctx, discard{}, []transform.Input{{Name: "-", Open: func() (io.ReadCloser, error) { return faithful{ctx}, nil }}}, Options{})
		require.NoError(t, err)
		require.True(t, sum.Interrupted)
		require.Empty(t, sum.Errors)
	}
}

func TestRate(t *testing.T) {
	in := newIntake(t, stream.Topology{})
	start := time.Now()
	sum, err := Run(t.Context(), in.pub, []transform.Input{input("a", strings.Join(lines(150, `{"name":"%d"}`), "\n"))}, Options{Rate: 200})
	require.NoError(t, err)
	assert.EqualValues(t, 150, sum.Published)
	assert.GreaterOrEqual(t, time.Since(start), 400*time.Millisecond)
}

func TestUnreachable(t *testing.T) {
	was := giveUp
	giveUp = 300 * time.Millisecond
	defer func() { giveUp = was }()
	in := newIntake(t, stream.Topology{})
	require.NoError(t, in.js.DeleteStream(t.Context(), stream.RawStream))
	sum, err := Run(t.Context(), in.pub, []transform.Input{input("a", "\n{\"name\":\"x\"}\n{\"name\":\"y\"}")}, Options{})
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorIs(t, err, stream.ErrNoStream)
	assert.Zero(t, sum.Published)
	assert.False(t, sum.Interrupted)
	assert.Equal(t, &Place{"a", 2}, sum.Next)
}

// discard takes everything.
type discard struct{}

func (discard) Publish(context.Context, ...stream.Message) error { return nil }

func FuzzRun(f *testing.F) {
	f.Add([]byte("{\"name\":\"x\"}\r\n[1,{\"name\":\"y\"}]\n\nnonsense"))
	f.Fuzz(func(t *testing.T, log []byte) {
		in := transform.Input{Name: "a", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(log)), nil }}
		sum, err := Run(t.Context(), discard{}, []transform.Input{in}, Options{Limits: event.Limits{MaxBytes: 1000}})
		require.NoError(t, err)
		if len(sum.Errors) == 0 && !bytes.Contains(log, []byte("[")) {
			assert.Equal(t, sum.Lines, sum.Blank+sum.Published+sum.Refused)
		}
	})
}
