package stream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Run as a child, the test binary only holds a store directory.
	if dir := os.Getenv("ERB_TEST_HOLD"); dir != "" {
		l, err := lockDir(dir)
		fmt.Println(err == nil)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		_ = l
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// bus is an embedded server with one connection.
type bus struct {
	*Embedded
	nc       *nats.Conn
	js       jetstream.JetStream
	features Features
}

func newBus(t testing.TB, edit ...func(*EmbeddedOptions)) *bus {
	t.Helper()
	o := EmbeddedOptions{StoreDir: t.TempDir(), Relaxed: true}
	for _, f := range edit {
		f(&o)
	}
	e, err := StartEmbedded(o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	nc, err := e.Connect("test")
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	f, err := Detect(t.Context(), nc, js)
	require.NoError(t, err)
	return &bus{Embedded: e, nc: nc, js: js, features: f}
}

func (b *bus) stored(t testing.TB, name string) uint64 {
	t.Helper()
	s, err := b.js.Stream(context.Background(), name)
	require.NoError(t, err)
	return s.CachedInfo().State.Msgs
}

func lanes(routers ...string) []Lane {
	var out []Lane
	for _, r := range routers {
		out = append(out, Lane{Backend: "xapi", Router: r})
	}
	return out
}

func TestEnsureIsIdempotent(t *testing.T) {
	b := newBus(t)
	ctx := t.Context()
	top := Topology{Backends: []string{"xapi", "caliper"}, Routers: lanes("a", "b")}
	require.NoError(t, top.Ensure(ctx, b.js, b.features))
	first, err := b.js.Stream(ctx, RawStream)
	require.NoError(t, err)
	assert.Equal(t, []string{RawSubjects}, first.CachedInfo().Config.Subjects)
	assert.Equal(t, 2, first.CachedInfo().State.Consumers)

	_, err = b.js.PauseConsumer(ctx, OutStream, DeliverDurable("xapi", "a"), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.NoError(t, top.Ensure(ctx, b.js, b.features))
	top.Routers[0].MaxPending = 77
	top.OutPerRouter = 5
	require.NoError(t, top.Ensure(ctx, b.js, b.features))
	c, err := b.js.Consumer(ctx, OutStream, DeliverDurable("xapi", "a"))
	require.NoError(t, err)
	assert.True(t, c.CachedInfo().Paused, "an update leaves the pause")
	assert.Equal(t, 77, c.CachedInfo().Config.MaxAckPending)
	out, err := b.js.Stream(ctx, OutStream)
	require.NoError(t, err)
	assert.EqualValues(t, 5, out.CachedInfo().Config.MaxMsgsPerSubject)

	// What is published waits for both backends.
	_, err = b.js.Publish(ctx, PublishSubject, []byte(`{}`))
	require.NoError(t, err)
	assert.EqualValues(t, 1, b.stored(t, RawStream))
}

func TestEnsureRefuses(t *testing.T) {
	ctx := t.Context()
	t.Run("retention", func(t *testing.T) {
		b := newBus(t)
		_, err := b.js.CreateStream(ctx, jetstream.StreamConfig{Name: OutStream, Subjects: []string{OutSubjects}})
		require.NoError(t, err)
		err = Topology{}.Ensure(ctx, b.js, b.features)
		assert.ErrorIs(t, err, ErrIncompatible)
		assert.EqualError(t, err, "exists with other settings: stream ERB_OUT has retention Limits where erbd needs WorkQueue: rename or delete it, or use another account")
	})
	t.Run("storage", func(t *testing.T) {
		b := newBus(t)
		_, err := b.js.CreateStream(ctx, jetstream.StreamConfig{Name: BadStream, Subjects: []string{"x"}, Storage: jetstream.MemoryStorage})
		require.NoError(t, err)
		assert.ErrorIs(t, Topology{}.Ensure(ctx, b.js, b.features), ErrIncompatible)
	})
	t.Run("consumer", func(t *testing.T) {
		b := newBus(t)
		require.NoError(t, Topology{}.Ensure(ctx, b.js, b.features))
		_, err := b.js.CreateConsumer(ctx, RawStream, jetstream.ConsumerConfig{Durable: TransformDurable("xapi"), AckPolicy: jetstream.AckNonePolicy})
		require.NoError(t, err)
		err = Topology{Backends: []string{"xapi"}}.Ensure(ctx, b.js, b.features)
		assert.ErrorIs(t, err, ErrIncompatible)
		assert.ErrorContains(t, err, "ack policy")
	})
	t.Run("subjects taken", func(t *testing.T) {
		b := newBus(t)
		_, err := b.js.CreateStream(ctx, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"erb.>"}})
		require.NoError(t, err)
		assert.ErrorContains(t, Topology{}.Ensure(ctx, b.js, b.features), "overlap")
	})
	t.Run("names", func(t *testing.T) {
		b := newBus(t)
		assert.ErrorIs(t, Topology{Backends: []string{"a.b"}}.Ensure(ctx, b.js, b.features), ErrName)
		assert.ErrorIs(t, Topology{Routers: lanes("a b")}.Ensure(ctx, b.js, b.features), ErrName)
	})
}

func TestStale(t *testing.T) {
	b := newBus(t)
	ctx := t.Context()
	require.NoError(t, Topology{Backends: []string{"xapi", "caliper"}, Routers: lanes("a", "b")}.Ensure(ctx, b.js, b.features))
	_, err := b.js.Publish(ctx, PublishSubject, []byte(`{}`))
	require.NoError(t, err)
	now := Topology{Backends: []string{"xapi"}, Routers: lanes("b")}
	stale, err := now.Stale(ctx, b.js)
	require.NoError(t, err)
	assert.Equal(t, []Stale{{RawStream, "transform_caliper", 1}, {OutStream, "deliver_xapi_a", 0}}, stale)
	for _, s := range stale {
		require.NoError(t, s.Remove(ctx, b.js))
		require.NoError(t, s.Remove(ctx, b.js), "twice is fine")
	}
	stale, err = now.Stale(ctx, b.js)
	require.NoError(t, err)
	assert.Empty(t, stale)
}

func TestCheckName(t *testing.T) {
	for _, ok := range []string{"a", "LRS-1_b", strings.Repeat("x", MaxName)} {
		assert.NoError(t, CheckName(ok))
	}
	for _, bad := range []string{"", "a.b", "a b", "a*", "é", ">", strings.Repeat("x", MaxName+1)} {
		assert.ErrorIs(t, CheckName(bad), ErrName, bad)
	}
}

func TestStoreDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	b := newBus(t, func(o *EmbeddedOptions) { o.StoreDir = dir })
	_, err := StartEmbedded(EmbeddedOptions{StoreDir: dir})
	assert.ErrorIs(t, err, ErrLocked)
	assert.ErrorContains(t, err, fmt.Sprintf("is held by process %d", os.Getpid()))
	b.nc.Close()
	require.NoError(t, b.Embedded.Close())
	again, err := StartEmbedded(EmbeddedOptions{StoreDir: dir, Relaxed: true})
	require.NoError(t, err, "a stopped server lets go")
	require.NoError(t, again.Close())
}

func TestLockHoldsAcrossProcesses(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ERB_TEST_HOLD="+dir)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "true\n", line)
	_, err = lockDir(dir)
	assert.ErrorIs(t, err, ErrLocked)
	assert.ErrorContains(t, err, fmt.Sprint(cmd.Process.Pid))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	_ = in.Close()
	l, err := lockDir(dir)
	require.NoError(t, err, "a killed process leaves no lock")
	require.NoError(t, l.release())
}

func TestEmbeddedSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	for run := range 2 {
		e, err := StartEmbedded(EmbeddedOptions{StoreDir: dir})
		require.NoError(t, err)
		nc, err := e.Connect("test")
		require.NoError(t, err)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		f, err := Detect(ctx, nc, js)
		require.NoError(t, err)
		require.NoError(t, Topology{Backends: []string{"xapi"}}.Ensure(ctx, js, f))
		require.NoError(t, NewPublisher(nc, js, f, true).Publish(ctx, Message{Subject: PublishSubject, ID: fmt.Sprint(run), Data: []byte(`{}`)}))
		s, err := js.Stream(ctx, RawStream)
		require.NoError(t, err)
		assert.EqualValues(t, run+1, s.CachedInfo().State.Msgs)
		nc.Close()
		require.NoError(t, e.Close())
	}
}

func TestEmbeddedListens(t *testing.T) {
	b := newBus(t, func(o *EmbeddedOptions) { o.Listen, o.Token = "127.0.0.1:0", "hunter2" })
	_, err := Connect(ConnectOptions{URL: b.URL()})
	assert.ErrorIs(t, err, nats.ErrAuthorization)
	nc, err := Connect(ConnectOptions{URL: b.URL(), Token: "hunter2"})
	require.NoError(t, err)
	nc.Close()

	_, err = StartEmbedded(EmbeddedOptions{StoreDir: t.TempDir(), Listen: strings.TrimPrefix(b.URL(), "nats://")})
	assert.ErrorContains(t, err, "address already in use")
	for _, o := range []EmbeddedOptions{{}, {StoreDir: "x", Listen: "nonsense"}, {StoreDir: "x", Listen: "h:99999"}, {StoreDir: "x", MaxPayload: -1}} {
		_, err = StartEmbedded(o)
		assert.ErrorIs(t, err, ErrOptions)
	}
	assert.NoDirExists(t, "x")
	assert.Empty(t, newBus(t).URL())
}

func TestConnectErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = Connect(ConnectOptions{URL: "nats://me:hunter2@" + addr})
	assert.ErrorContains(t, err, "connect to nats at nats://"+addr)
	assert.NotContains(t, err.Error(), "hunter2")

	pem := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(pem, []byte("nothing"), 0o600))
	for name, o := range map[string]ConnectOptions{
		"url":   {URL: "nats://%zz"},
		"two":   {URL: addr, Token: "a", User: "b"},
		"nkey":  {URL: addr, NKey: filepath.Join(t.TempDir(), "absent")},
		"pair":  {URL: addr, Cert: "x"},
		"ca":    {URL: addr, CA: pem},
		"no ca": {URL: addr, CA: filepath.Join(t.TempDir(), "absent")},
		"cert":  {URL: addr, Cert: pem, Key: pem},
	} {
		_, err := Connect(o)
		assert.ErrorIs(t, err, ErrOptions, name)
	}
}

func TestOlder(t *testing.T) {
	assert.True(t, older("2.11.15", 2, 12, 9))
	assert.True(t, older("2.12.8-RC.1", 2, 12, 9))
	assert.False(t, older("2.12.9", 2, 12, 9))
	assert.False(t, older("2.15.2", 2, 14, 1))
	assert.False(t, older("strange", 2, 14, 1))
}

func TestPublishBatch(t *testing.T) {
	for _, mode := range []struct {
		name   string
		atomic bool
	}{{"atomic", true}, {"one by one", false}} {
		t.Run(mode.name, func(t *testing.T) {
			b := newBus(t)
			ctx := t.Context()
			f := b.features
			f.Atomic = mode.atomic
			require.NoError(t, Topology{OutPerRouter: 3000}.Ensure(ctx, b.js, f))
			p := NewPublisher(b.nc, b.js, f, true)
			var msgs []Message
			for i := range 2500 {
				msgs = append(msgs, Message{Subject: OutSubject("xapi", "a"), ID: fmt.Sprint("m", i), Header: packedHeader(1), Data: []byte("x")})
			}
			require.NoError(t, p.Publish(ctx, msgs...))
			assert.EqualValues(t, 2500, b.stored(t, OutStream))
			require.NoError(t, p.Publish(ctx, msgs...), "again is harmless")
			require.NoError(t, p.Publish(ctx, append(msgs[:3:3], Message{Subject: OutSubject("xapi", "a"), ID: "new", Data: []byte("y")})...), "a partly known batch")
			assert.EqualValues(t, 2501, b.stored(t, OutStream))
			assert.Empty(t, msgs[0].Header.Get(headerBatchID), "the caller's headers stay his")
		})
	}
}

func TestPublishFullSubjectSparesOthers(t *testing.T) {
	b := newBus(t)
	ctx := t.Context()
	require.NoError(t, Topology{OutPerRouter: 2}.Ensure(ctx, b.js, b.features))
	p := NewPublisher(b.nc, b.js, b.features, true)
	var msgs []Message
	for i := range 4 {
		for _, r := range []string{"dead", "alive"} {
			if r == "alive" && i > 1 {
				continue
			}
			msgs = append(msgs, Message{Subject: OutSubject("xapi", r), ID: fmt.Sprint(r, i), Data: []byte("x")})
		}
	}
	err := p.Publish(ctx, msgs...)
	assert.ErrorIs(t, err, ErrFull)
	var pe *PublishError
	require.ErrorAs(t, err, &pe)
	assert.Equal(t, 6, pe.Total)
	assert.Len(t, pe.Failed, 2)
	for i := range pe.Failed {
		assert.Equal(t, OutSubject("xapi", "dead"), msgs[i].Subject)
	}
	assert.EqualValues(t, 4, b.stored(t, OutStream))
	assert.ErrorContains(t, err, "2 of 6 messages not stored")
}

func TestPublishErrors(t *testing.T) {
	b := newBus(t, func(o *EmbeddedOptions) { o.MaxPayload = 4096 })
	ctx := t.Context()
	p := NewPublisher(b.nc, b.js, b.features, true)
	assert.ErrorIs(t, p.Publish(ctx, Message{Subject: "nobody", Data: []byte("x")}), ErrNoStream)
	assert.NoError(t, p.Publish(ctx))
	require.NoError(t, Topology{}.Ensure(ctx, b.js, b.features))
	sub := OutSubject("xapi", "a")
	big := make([]byte, 5000)
	assert.ErrorIs(t, p.Publish(ctx, Message{Subject: sub, ID: "big", Data: big}), ErrTooLarge)
	err := p.Publish(ctx, Message{Subject: sub, ID: "1", Data: []byte("x")}, Message{Subject: sub, ID: "big", Data: big}, Message{Subject: sub, ID: "2", Data: []byte("x")})
	var pe *PublishError
	require.ErrorAs(t, err, &pe)
	assert.Len(t, pe.Failed, 1)
	assert.ErrorIs(t, pe.Failed[1], ErrTooLarge)
	assert.EqualValues(t, 2, b.stored(t, OutStream))

	done, cancel := context.WithCancel(ctx)
	cancel()
	assert.ErrorIs(t, p.Publish(done, Message{Subject: sub, ID: "3"}, Message{Subject: sub, ID: "4"}), context.Canceled)
}

func item(id string, n int, critical bool) Item {
	it := Item{ID: id, Name: "play_video", Critical: critical}
	for i := range n {
		it.Statements = append(it.Statements, Statement{ID: fmt.Sprintf("%s-%d", id, i), JSON: fmt.Appendf(nil, `{"id":"%s-%d"}`, id, i)})
	}
	if critical {
		it.Event = fmt.Appendf(nil, `{"name":%q}`, id)
	}
	return it
}

func TestPackUnpack(t *testing.T) {
	items := []Item{item("a", 1, false), item("b", 3, true), item("c", 1, false)}
	items[2].Prior = Dropped
	items[0].Name = "\"ä\"\n\u2028<&>\\"
	items[2].Statements[0].JSON = []byte("{\n \"x\": 1\r\n}")
	for _, tt := range []struct{ maxItems, maxBytes, messages int }{{0, 0, 1}, {1, 0, 3}, {2, 0, 2}, {0, 1, 3}, {16, 1 << 20, 1}} {
		msgs := Pack("s", "id", items, tt.maxItems, tt.maxBytes)
		assert.Len(t, msgs, tt.messages)
		var got []Item
		for i, m := range msgs {
			its, err := Unpack(m.Header, m.Data)
			require.NoError(t, err)
			alone := Pack("s", "id", its, 0, 0)
			_, sum, _ := strings.Cut(strings.TrimPrefix(alone[0].ID, "id."), ".")
			assert.Equal(t, fmt.Sprintf("id.%d.%s", i, sum), m.ID, "the id tells which items are in the message")
			got = append(got, its...)
		}
		require.Len(t, got, 3)
		assert.Equal(t, items[:2], got[:2])
		assert.Equal(t, Dropped, got[2].Prior)
		assert.JSONEq(t, `{"x":1}`, string(got[2].Statements[0].JSON))
	}
}

func TestUnpackRefuses(t *testing.T) {
	good := Pack("s", "id", []Item{item("a", 2, true)}, 0, 0)
	h, d := good[0].Header, good[0].Data
	cut := bytes.SplitAfter(d, []byte("\n"))
	for name, tt := range map[string]struct {
		h nats.Header
		d []byte
	}{
		"no header":   {nil, d},
		"newer":       {nats.Header{HeaderFormat: {"2"}, HeaderItems: {"1"}}, d},
		"no count":    {nats.Header{HeaderFormat: {"1"}}, d},
		"huge count":  {nats.Header{HeaderFormat: {"1"}, HeaderItems: {"99999999"}}, d},
		"other count": {packedHeader(2), d},
		"empty":       {h, nil},
		"cut":         {h, d[:len(d)-1]},
		"no event":    {h, bytes.Join(cut[:3], nil)},
		"no meta":     {h, []byte("nonsense\n")},
		"no docs":     {h, []byte("{}\n")},
		"bad prior":   {h, []byte(`{"statements":["a"],"prior":"x"}` + "\n{}\n")},
		"huge prior":  {h, []byte(`{"statements":["a"],"prior":256}` + "\n{}\n")},
		"bad id":      {h, []byte(`{"id":1,"statements":["a"]}` + "\n{}\n")},
		"bad ids":     {h, []byte(`{"statements":["a",2]}` + "\n{}\n{}\n")},
		"ids no list": {h, []byte(`{"statements":"a"}` + "\n{}\n")},
		"bad truth":   {h, []byte(`{"statements":["a"],"critical":"yes"}` + "\n{}\n")},
		"a list":      {h, []byte(`["a"]` + "\n{}\n")},
	} {
		_, err := Unpack(tt.h, tt.d)
		assert.ErrorIs(t, err, ErrFrame, name)
	}
}

func collect(h nats.Header, data string) ([]string, error) {
	var out []string
	for ev, err := range Events(h, []byte(data)) {
		if err != nil {
			return out, err
		}
		out = append(out, string(ev))
	}
	return out, nil
}

func TestEvents(t *testing.T) {
	for in, want := range map[string][]string{
		`{"a":1}`:                   {`{"a":1}`},
		"":                          {""},
		"plain":                     {"plain"},
		`[]`:                        nil,
		" [ ] ":                     nil,
		`[{"a":[1,2]}, {"b":"],"}]`: {`{"a":[1,2]}`, `{"b":"],"}`},
		`[{"a":"\"]"},2]`:           {`{"a":"\"]"}`, `2`},
		`[1,]`:                      {"1", ""},
		`[1`:                        {"[1"},
		`[1]]`:                      {"[1]]"},
		`[}`:                        {"[}"},
		`["a]`:                      {`["a]`},
	} {
		got, err := collect(nil, in)
		assert.NoError(t, err)
		assert.Equal(t, want, got, in)
	}
	events := [][]byte{[]byte(`{"a":1}`), []byte(" \n"), []byte("{\n\"b\":2}"), []byte(`{"c":3}`)}
	msgs := PackEvents(PublishSubject, "x", events, 2, 0)
	require.Len(t, msgs, 2)
	got, err := collect(msgs[0].Header, string(msgs[0].Data))
	require.NoError(t, err)
	assert.Equal(t, []string{`{"a":1}`, `{ "b":2}`}, got)
	assert.Equal(t, "x.1", msgs[1].ID)
	assert.Len(t, PackEvents(PublishSubject, "x", events, 0, 10), 3)
	_, err = collect(packedHeader(3), string(msgs[0].Data))
	assert.ErrorIs(t, err, ErrFrame)
	_, err = collect(nats.Header{HeaderFormat: {"x"}}, "{}")
	assert.ErrorIs(t, err, ErrFrame)
	for range Events(packedHeader(2), msgs[0].Data) {
		break // stopping early is fine
	}
}

func FuzzUnpack(f *testing.F) {
	good := Pack("s", "id", []Item{item("a", 2, true), item("b", 1, false)}, 0, 0)
	f.Add(good[0].Data, 2)
	f.Add([]byte(`{"statements":["a"]}`+"\n{}\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		items, err := Unpack(packedHeader(n), data)
		if err != nil {
			assert.True(t, errors.Is(err, ErrFrame))
			return
		}
		msgs := Pack("s", "id", items, 0, 0)
		again, err := Unpack(msgs[0].Header, msgs[0].Data)
		require.NoError(t, err)
		assert.Equal(t, len(items), len(again))
	})
}

func FuzzEvents(f *testing.F) {
	for _, s := range []string{`[{"a":[1]},"x\"]",3]`, "[", "{}\n{}", `[[[]]]`} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, packed bool) {
		h := nats.Header(nil)
		if packed {
			h = packedHeader(1)
		}
		for _, err := range Events(h, data) {
			if err != nil {
				assert.ErrorIs(t, err, ErrFrame)
			}
		}
	})
}

func BenchmarkPublish(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 2048)
	for _, disk := range []string{"durable", "relaxed"} {
		for _, n := range []int{1, 100, 1000} {
			for _, mode := range []string{"atomic", "each"} {
				if n == 1 && mode == "each" {
					continue
				}
				b.Run(fmt.Sprintf("%s/%s/%d", disk, mode, n), func(b *testing.B) {
					bus := newBus(b, func(o *EmbeddedOptions) { o.Relaxed = disk == "relaxed" })
					f := bus.features
					f.Atomic = mode == "atomic"
					require.NoError(b, Topology{OutPerRouter: 1 << 40}.Ensure(b.Context(), bus.js, f))
					p := NewPublisher(bus.nc, bus.js, f, true)
					msgs := make([]Message, n)
					seq := 0
					b.ResetTimer()
					for b.Loop() {
						for i := range msgs {
							seq++
							msgs[i] = Message{Subject: OutSubject("xapi", "a"), ID: fmt.Sprint(seq), Data: data}
						}
						if err := p.Publish(b.Context(), msgs...); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(seq)/b.Elapsed().Seconds(), "msg/s")
				})
			}
		}
	}
}

// statements are items as a played video makes them.
func statements(n int) []Item {
	items := make([]Item, n)
	for i := range items {
		id := uuid.NewString()
		items[i] = Item{ID: id, Name: "play_video", Statements: []Statement{{ID: id, JSON: fmt.Appendf(nil, `{"id":%q,"x":%q}`, id, strings.Repeat("x", 1200))}}}
	}
	return items
}

func BenchmarkPack(b *testing.B) {
	items := statements(200)
	pool := &sync.Pool{}
	b.ReportAllocs()
	for b.Loop() {
		p := Packer{Subject: "s", ID: "id", MaxItems: len(items), Memory: pool}
		for _, it := range items {
			p.Add(it)
		}
		data := p.Messages()[0].Data
		pool.Put(&data)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(items)), "ns/event")
}

func BenchmarkUnpack(b *testing.B) {
	items := statements(200)
	msgs := Pack("s", "id", items, 0, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unpack(msgs[0].Header, msgs[0].Data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(items)), "ns/event")
}
