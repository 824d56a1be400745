package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/stream"
)

// The test binary is also the process that is killed.
const childLog, childServer = "FOLLOW_TEST_LOG", "FOLLOW_TEST_SERVER"

func TestMain(m *testing.M) {
	if log := os.Getenv(childLog); log != "" {
		nc, err := nats.Connect(os.Getenv(childServer))
		if err == nil {
			var js jetstream.JetStream
			if js, err = jetstream.New(nc); err == nil {
				var f stream.Features
				if f, err = stream.Detect(context.Background(), nc, js); err == nil {
					_, err = Run(context.Background(), stream.NewPublisher(nc, js, f, true), log, Options{})
				}
			}
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	tick, linger, waitMin, grace = 20*time.Millisecond, 300*time.Millisecond, 20*time.Millisecond, time.Second
	goleak.VerifyTestMain(m)
}

// intake is a real server with the streams of a daemon.
type intake struct {
	t      *testing.T
	server *stream.Embedded
	nc     *nats.Conn
	js     jetstream.JetStream
	pub    *stream.Publisher
}

func newIntake(t *testing.T, o stream.EmbeddedOptions) *intake {
	t.Helper()
	i := &intake{t: t}
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	o.Relaxed = true
	var err error
	i.server, err = stream.StartEmbedded(o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, i.server.Close()) })
	i.nc, err = i.server.Connect("test")
	require.NoError(t, err)
	t.Cleanup(i.nc.Close)
	i.js, err = jetstream.New(i.nc)
	require.NoError(t, err)
	f, err := stream.Detect(t.Context(), i.nc, i.js)
	require.NoError(t, err)
	require.NoError(t, stream.Topology{Backends: []string{"xapi"}}.Ensure(t.Context(), i.js, f))
	i.pub = stream.NewPublisher(i.nc, i.js, f, true)
	return i
}

// events reads all that is stored, in order.
func (i *intake) events() []string {
	out := []string{}
	s, err := i.js.Stream(i.t.Context(), stream.RawStream)
	if err != nil {
		return out
	}
	st := s.CachedInfo().State
	for seq := st.FirstSeq; seq > 0 && seq <= st.LastSeq; seq++ {
		m, err := s.GetMsg(i.t.Context(), seq)
		if err != nil {
			continue
		}
		for ev := range stream.Events(m.Header, m.Data) {
			out = append(out, string(ev))
		}
	}
	return out
}

// log is a log that tests write and rotate.
type log struct {
	t    *testing.T
	path string
	file *os.File
	n    int
	want []string
}

func newLog(t *testing.T) *log {
	l := &log{t: t, path: filepath.Join(t.TempDir(), "tracking.log")}
	l.reopen()
	t.Cleanup(func() { _ = l.file.Close() })
	return l
}

func (l *log) reopen() {
	l.t.Helper()
	if l.file != nil {
		require.NoError(l.t, l.file.Close())
	}
	var err error
	l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(l.t, err)
}

func (l *log) raw(text string) {
	l.t.Helper()
	_, err := l.file.WriteString(text)
	require.NoError(l.t, err)
}

// write appends n events.
func (l *log) write(n int) {
	l.t.Helper()
	var b strings.Builder
	for range n {
		l.n++
		ev := fmt.Sprintf(`{"name":"event","data":{"number":%d}}`, l.n)
		l.want = append(l.want, ev)
		b.WriteString(ev + "\n")
	}
	l.raw(b.String())
}

// rename moves the log away and begins a new one, and moves older ones on.
func (l *log) rename() {
	l.t.Helper()
	for n := 8; n > 0; n-- {
		for _, gz := range []string{"", ".gz"} {
			_ = os.Rename(fmt.Sprintf("%s.%d%s", l.path, n, gz), fmt.Sprintf("%s.%d%s", l.path, n+1, gz))
		}
	}
	require.NoError(l.t, os.Rename(l.path, l.path+".1"))
	l.reopen()
}

// copyTruncate copies the log and truncates it.
func (l *log) copyTruncate() {
	l.t.Helper()
	data, err := os.ReadFile(l.path)
	require.NoError(l.t, err)
	require.NoError(l.t, os.WriteFile(l.path+".1", data, 0o600))
	require.NoError(l.t, os.Truncate(l.path, 0))
}

// compress replaces a rotated log by a compressed one that is as old.
func (l *log) compress(name string) {
	l.t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(l.t, err)
	info, err := os.Stat(name)
	require.NoError(l.t, err)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err = w.Write(data)
	require.NoError(l.t, err)
	require.NoError(l.t, w.Close())
	require.NoError(l.t, os.WriteFile(name+".gz", b.Bytes(), 0o600))
	require.NoError(l.t, os.Chtimes(name+".gz", info.ModTime(), info.ModTime()))
	require.NoError(l.t, os.Remove(name))
}

// notes remembers what Run says.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) say(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, text)
}

func (n *notes) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, "\n")
}

// run follows a log until the returned function is called.
func run(t *testing.T, p Publisher, path string, opt Options) (stop func() *Summary) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *Summary, 1)
	go func() {
		sum, err := Run(ctx, p, path, opt)
		assert.NoError(t, err)
		done <- sum
	}()
	var once sync.Once
	var sum *Summary
	stop = func() *Summary {
		once.Do(func() { cancel(); sum = <-done })
		return sum
	}
	t.Cleanup(func() { stop() })
	return stop
}

// arrives waits until exactly the log's events are stored, whatever their order.
func (i *intake) arrives(l *log) {
	i.t.Helper()
	require.Eventually(i.t, func() bool { return len(i.events()) >= len(l.want) }, 30*time.Second, 10*time.Millisecond, "%s", lazy(func() string {
		return fmt.Sprintf("%d of %d events", len(i.events()), len(l.want))
	}))
	require.ElementsMatch(i.t, l.want, i.events())
}

// lazy is a text that is made when it is shown.
type lazy func() string

func (l lazy) String() string { return l() }

func TestFollow(t *testing.T) {
	in, l := newIntake(t, stream.EmbeddedOptions{}), newLog(t)
	l.write(250)
	var refused []string
	stop := run(t, in.pub, l.path, Options{Limits: event.Limits{MaxBytes: 1000}, Refused: func(file string, at int64, why error) {
		refused = append(refused, fmt.Sprintf("%s:%d: %v", filepath.Base(file), at, why))
	}})
	in.arrives(l)
	l.write(1)
	in.arrives(l)

	// Half a line is waited for.
	half := `{"name":"in two parts","data":{}}`
	l.raw(half[:12])
	time.Sleep(100 * time.Millisecond)
	in.arrives(l)
	l.raw(half[12:] + "\r\n")
	l.want = append(l.want, half)
	in.arrives(l)

	at, err := l.file.Seek(0, io.SeekCurrent)
	require.NoError(t, err)
	l.raw("\nnonsense\n" + strings.Repeat("x", 700))
	time.Sleep(50 * time.Millisecond)
	l.raw(strings.Repeat("x", 300<<10) + "\n[{\"name\":\"a\"},{\"name\":\"b\"}]\n")
	l.want = append(l.want, `{"name":"a"}`, `{"name":"b"}`)
	in.arrives(l)
	sum := stop()
	assert.Equal(t, Summary{Lines: 256, Published: 254, Messages: sum.Messages, Refused: 2}, *sum)
	assert.Equal(t, []string{fmt.Sprintf("tracking.log:%d: event is not a json object", at+1), fmt.Sprintf("tracking.log:%d: event is too large: more than 1000 bytes", at+10)}, refused)

	state, err := os.ReadFile(l.path + StateSuffix)
	require.NoError(t, err)
	assert.NotContains(t, string(state), "event")
}

func TestLogThatComesLater(t *testing.T) {
	in := newIntake(t, stream.EmbeddedOptions{})
	path := filepath.Join(t.TempDir(), "tracking.log")
	var said notes
	run(t, in.pub, path, Options{Say: said.say})
	require.Eventually(t, func() bool { return strings.HasPrefix(said.text(), "waits for "+path) }, 10*time.Second, 5*time.Millisecond)
	l := &log{t: t, path: path}
	l.reopen()
	defer l.file.Close()
	l.write(3)
	in.arrives(l)
	assert.True(t, strings.HasSuffix(said.text(), "\ngoes on"), said.text())
}

func TestRotation(t *testing.T) {
	rotations := map[string]func(l *log){
		"rename": (*log).rename,
		"rename, the writer is late": func(l *log) {
			old := l.file
			l.file = nil
			l.rename()
			fresh := l.file
			l.file = old
			l.write(5)
			require.NoError(l.t, old.Close())
			l.file = fresh
		},
		"rename, the last line has no end": func(l *log) {
			l.raw(`{"name":"last"}`)
			l.want = append(l.want, `{"name":"last"}`)
			l.rename()
		},
		"rename and compress": func(l *log) { l.rename(); l.compress(l.path + ".1") },
		"copytruncate":        (*log).copyTruncate,
		"copytruncate and compress": func(l *log) {
			l.copyTruncate()
			l.compress(l.path + ".1")
		},
	}
	for name, rotate := range rotations {
		for _, between := range []string{"live", "stopped"} {
			t.Run(name+"/"+between, func(t *testing.T) {
				in, l := newIntake(t, stream.EmbeddedOptions{}), newLog(t)
				stop := run(t, in.pub, l.path, Options{})
				for range 3 {
					l.write(10)
					in.arrives(l)
					if between == "stopped" {
						stop()
					}
					l.write(7) // not seen before the rotation, perhaps
					rotate(l)
					l.write(120)
					if between == "stopped" {
						stop = run(t, in.pub, l.path, Options{})
					}
					in.arrives(l)
				}
				// What is done with is done with.
				time.Sleep(2 * linger)
				stop()
				stop = run(t, in.pub, l.path, Options{})
				l.write(1)
				in.arrives(l)
				stop()
			})
		}
	}
}

// TestSeveralRotations: logs that came and went while nothing followed are read, older ones are not.
func TestSeveralRotations(t *testing.T) {
	in, l := newIntake(t, stream.EmbeddedOptions{}), newLog(t)
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.WriteFile(l.path+".1", []byte("{\"name\":\"old\"}\n"), 0o600))
	require.NoError(t, os.Chtimes(l.path+".1", old, old))
	l.write(10)
	stop := run(t, in.pub, l.path, Options{})
	in.arrives(l)
	stop()
	for range 3 {
		l.write(20)
		l.rename()
	}
	l.compress(l.path + ".2")
	l.write(5)
	require.NoError(t, os.WriteFile(l.path+".old", []byte("{\"name\":\"copy\"}\n"), 0o600))
	stop = run(t, in.pub, l.path, Options{})
	in.arrives(l)
	stop()
}

// flaky is a publisher that fails in all ways, now and then after it has stored.
type flaky struct {
	Publisher
	calls int
}

func (f *flaky) Publish(ctx context.Context, msgs ...stream.Message) error {
	f.calls++
	switch f.calls % 3 {
	case 0:
		return f.Publisher.Publish(ctx, msgs...)
	case 1:
		return errors.New("the connection is lost")
	}
	if err := f.Publisher.Publish(ctx, msgs...); err != nil {
		return err
	}
	return &stream.PublishError{Failed: map[int]error{0: stream.ErrFull}, Total: len(msgs)}
}

func TestFlakyServer(t *testing.T) {
	in, l := newIntake(t, stream.EmbeddedOptions{}), newLog(t)
	var said notes
	run(t, &flaky{Publisher: in.pub}, l.path, Options{Say: said.say})
	for range 5 {
		l.write(130)
		in.arrives(l)
		l.rename()
	}
	assert.Contains(t, said.text(), "the message server stores nothing: waiting for it: the connection is lost\n")
}

// TestServerRestarts: the server goes away for a while and comes back; logs are rotated twice meanwhile.
func TestServerRestarts(t *testing.T) {
	dir := t.TempDir()
	first, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: dir, Listen: "127.0.0.1:0", Relaxed: true})
	require.NoError(t, err)
	nc, err := nats.Connect(first.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	f, err := stream.Detect(t.Context(), nc, js)
	require.NoError(t, err)
	require.NoError(t, stream.Topology{Backends: []string{"xapi"}}.Ensure(t.Context(), js, f))
	in, l := &intake{t: t, js: js}, newLog(t)
	was := patience
	patience = 300 * time.Millisecond
	defer func() { patience = was }()
	var said notes
	stop := run(t, stream.NewPublisher(nc, js, f, true), l.path, Options{Say: said.say})
	defer stop()
	l.write(10)
	in.arrives(l)
	address := strings.TrimPrefix(first.URL(), "nats://")
	require.NoError(t, first.Close())
	l.write(300)
	require.Eventually(t, func() bool { return strings.Contains(said.text(), "waiting for it") }, 20*time.Second, 10*time.Millisecond)
	for range 2 {
		l.write(50)
		l.rename()
		time.Sleep(100 * time.Millisecond)
	}
	second, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: dir, Listen: address, Relaxed: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, second.Close()) }()
	in.arrives(l)
	stop()
	nc.Close()
	assert.Equal(t, 1, strings.Count(said.text(), "waiting for it"), said.text())
	assert.True(t, strings.HasSuffix(said.text(), "goes on"), said.text())
}

// TestKill kills a process that follows, again and again, while a log is written and rotated.
func TestKill(t *testing.T) {
	in, l := newIntake(t, stream.EmbeddedOptions{Listen: "127.0.0.1:0"}), newLog(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	for i := range 8 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childLog+"="+l.path, childServer+"="+in.server.URL())
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		before := len(in.events())
		for j := range 20 {
			l.write(11 * (i + j))
			if j == 10 && i%2 == 1 {
				l.rename()
			}
		}
		// The kill comes in the midst of the work.
		require.Eventually(t, func() bool { return len(in.events()) > before }, 30*time.Second, time.Millisecond)
		time.Sleep(time.Duration(i) * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		l.write(3)
	}
	stop := run(t, in.pub, l.path, Options{})
	in.arrives(l)
	stop()
}

// TestStop: what was read is acknowledged before Run returns, though the server is slow.
func TestStop(t *testing.T) {
	in, l := newIntake(t, stream.EmbeddedOptions{}), newLog(t)
	l.write(100)
	asked, answer := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *Summary)
	go func() {
		sum, err := Run(ctx, publisherFunc(func(ctx context.Context, msgs ...stream.Message) error {
			close(asked)
			<-answer
			return in.pub.Publish(ctx, msgs...)
		}), l.path, Options{})
		assert.NoError(t, err)
		done <- sum
	}()
	<-asked
	cancel()
	close(answer)
	assert.EqualValues(t, 100, (<-done).Published)
	stop := run(t, in.pub, l.path, Options{})
	l.write(1)
	in.arrives(l)
	assert.EqualValues(t, 1, stop().Published, "the first ones were noted as done")

	// A server that never answers keeps Run for a few seconds only.
	l.write(1)
	ctx, cancel = context.WithCancel(t.Context())
	sum, err := Run(ctx, publisherFunc(func(context.Context, ...stream.Message) error { cancel(); return errors.New("down") }), l.path, Options{})
	require.NoError(t, err)
	assert.Zero(t, sum.Published)
	run(t, in.pub, l.path, Options{})
	in.arrives(l)
}

type publisherFunc func(ctx context.Context, msgs ...stream.Message) error

func (f publisherFunc) Publish(ctx context.Context, msgs ...stream.Message) error {
	return f(ctx, msgs...)
}

func TestLargeMessages(t *testing.T) {
	in, l := newIntake(t, stream.EmbeddedOptions{MaxPayload: 32 << 10}), newLog(t)
	l.write(5)
	for n := range 4 {
		ev := fmt.Sprintf(`{"name":"%d%s"}`, n, strings.Repeat("x", 12<<10))
		l.raw(ev + "\n")
		l.want = append(l.want, ev)
	}
	l.raw(`{"name":"` + strings.Repeat("x", 40<<10) + "\"}\n")
	l.write(5)
	stop := run(t, in.pub, l.path, Options{})
	in.arrives(l)
	sum := stop()
	assert.EqualValues(t, 14, sum.Published)
	assert.EqualValues(t, 1, sum.Refused)
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tracking.log")
	never := publisherFunc(func(context.Context, ...stream.Message) error { return errors.New("never asked") })
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("broken", "{")
	write("other", `{"version":1,"log":"/elsewhere/tracking.log"}`)
	write("newer", `{"version":2}`)
	write("damaged", fmt.Sprintf(`{"version":1,"log":%q,"files":[{"id":"x","offset":5,"plan":[4]}]}`, path))
	for state, want := range map[string]string{"broken": "unexpected end", "other": "is that of /elsewhere", "newer": "has version 2", "damaged": "is damaged", "none/state": "no such file"} {
		_, err := Run(t.Context(), never, path, Options{State: filepath.Join(dir, state)})
		require.ErrorIs(t, err, ErrState, state)
		require.ErrorContains(t, err, want)
	}
	for _, p := range []string{dir, path + ".gz"} {
		_, err := Run(t.Context(), never, p, Options{State: filepath.Join(dir, "fine")})
		require.ErrorIs(t, err, ErrNoLog)
	}
	run(t, never, path, Options{})
	require.Eventually(t, func() bool { _, err := os.Stat(path + StateSuffix); return err == nil }, 10*time.Second, 5*time.Millisecond)
	_, err := Run(t.Context(), never, path, Options{})
	require.ErrorIs(t, err, ErrLocked)
}

func TestRate(t *testing.T) {
	in, l := newIntake(t, stream.EmbeddedOptions{}), newLog(t)
	l.write(150)
	start := time.Now()
	run(t, in.pub, l.path, Options{Rate: 200})
	in.arrives(l)
	assert.GreaterOrEqual(t, time.Since(start), 200*time.Millisecond)
}

// FuzzLines: however a log grows, its lines are those of the text.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\n\nbb\nccc"), 2, 10)
	f.Add([]byte(strings.Repeat("x", 100)+"\nb\n"), 3, 7)
	f.Fuzz(func(t *testing.T, text []byte, step, longest int) {
		if step < 1 || longest < 1 || step > 1<<16 || longest > 1<<16 {
			return
		}
		grown := &growing{text: text, step: step}
		l := newLines(grown, 0, nil, longest)
		var got []byte
		for {
			final := grown.read == len(text)
			ln, ok, err := l.next(final)
			require.NoError(t, err)
			if ok {
				require.Equal(t, int64(len(got)), ln.start)
				got = append(got, text[ln.start:ln.end]...)
				if !ln.tooLong {
					require.Equal(t, string(bytes.TrimRight(text[ln.start:ln.end], "\r\n")), string(ln.data))
				}
			} else if final {
				break
			}
		}
		require.Equal(t, string(text), string(got))
		require.Equal(t, string(text[:min(len(text), headSize)]), string(l.head))
	})
}

// growing is a file that grows by some bytes whenever it has been read to its end.
type growing struct {
	text             []byte
	step, read, size int
}

func (g *growing) Read(p []byte) (int, error) {
	if g.read == g.size {
		g.size = min(g.size+g.step, len(g.text))
		return 0, io.EOF
	}
	n := copy(p, g.text[g.read:g.size])
	g.read += n
	return n, nil
}
