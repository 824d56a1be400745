package transform_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/filter"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/transform"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a worker whose statements tell which event they are of; like the real
// one it reuses its memory.
type echo struct{ buf []byte }

func newEcho() transform.Worker { return &echo{} }

func (e *echo) Transform(_ context.Context, ev event.Event) mapping.Result {
	switch ev.Name {
	case "none":
		return mapping.Result{Outcome: mapping.Unmapped}
	case "bad":
		return mapping.Result{Outcome: mapping.Rejected, Rejection: &mapping.Rejection{
			Field: "object.id", Reason: "data.id is \"absent\"", Pos: diag.Position{File: "m.yaml", Line: 3, Column: 5},
		}}
	case "when":
		return mapping.Result{Outcome: mapping.Rejected, Rejection: &mapping.Rejection{Field: "when", Reason: "no alternative"}}
	case "down":
		return mapping.Result{Outcome: mapping.Failed, Err: errors.New("connection refused")}
	}
	e.buf = append(append(append(e.buf[:0], `{"n":`...), gjson.GetBytes(ev.JSON, "n").Raw...), '}')
	one := mapping.Statement{JSON: e.buf}
	if ev.Name == "two" {
		return mapping.Result{Statements: []mapping.Statement{one, one}}
	}
	return mapping.Result{Statements: []mapping.Statement{one}}
}

func text(name, s string) transform.Input {
	return transform.Input{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }}
}

func zipped(t *testing.T, name, s string) transform.Input {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, s)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return text(name, b.String())
}

const mixed = `{"name":"one","n":1}
{"name":"two","n":2}
{"name":"none"}

{"name":"bad"}
{"name":"down"}
nonsense
{"name":"skip","n":3}
{"name":"when"}
{"name":"one","n":4}`

func TestStatements(t *testing.T) {
	var out strings.Builder
	s, err := transform.Run(t.Context(), []transform.Input{text("a.log", mixed)}, &out, transform.Options{
		NewWorker: newEcho, Filter: filter.Names([]string{"one", "two", "none", "bad", "down", "when"}),
	})
	require.NoError(t, err)
	assert.Equal(t, "{\"n\":1}\n{\"n\":2}\n{\"n\":2}\n{\"n\":4}\n", out.String())
	assert.False(t, s.Clean())
	assert.True(t, s.Complete())

	var report strings.Builder
	require.NoError(t, s.WriteText(&report))
	assert.Equal(t, `event  transformed  unmapped  filtered  rejected
one    2            -         -         -
bad    -            -         -         1
down   -            -         -         1
none   -            1         -         -
skip   -            -         1         -
two    1            -         -         -
when   -            -         -         1
rejected: 1 × bad: object.id: data.id is "absent" (m.yaml:3:5)
rejected: 1 × down: look-up failed: connection refused
rejected: 1 × when: when: no alternative
invalid: a.log:4: empty line
invalid: a.log:7: event is not a json object
10 lines: 3 transformed, 1 unmapped, 1 filtered, 3 rejected, 2 invalid; statements: 4
`, report.String())

	asJSON, err := json.Marshal(s)
	require.NoError(t, err)
	assert.JSONEq(t, `{"lines":10,"transformed":3,"statements":4,"unmapped":1,"filtered":1,"rejected":3,"invalid":2,"errors":[],"interrupted":false}`,
		gjson.GetBytes(asJSON, `{lines,transformed,statements,unmapped,filtered,rejected,invalid,errors,interrupted}`).Raw)
	assert.JSONEq(t, `{"name":"one","transformed":2,"statements":2,"unmapped":0,"filtered":0,"rejected":0}`, gjson.GetBytes(asJSON, "events.0").Raw)
	assert.JSONEq(t, `{"name":"bad","field":"object.id","reason":"data.id is \"absent\"","mapping":"m.yaml:3:5","count":1}`, gjson.GetBytes(asJSON, "rejections.0").Raw)
	assert.JSONEq(t, `{"file":"a.log","line":4,"reason":"empty line"}`, gjson.GetBytes(asJSON, "invalid_lines.0").Raw)
}

func TestOutcomes(t *testing.T) {
	var out strings.Builder
	long := `{"name":"` + strings.Repeat("x", 5000) + `"}`
	_, err := transform.Run(t.Context(), []transform.Input{text("a.log", mixed+"\n"+long+"\n")}, &out, transform.Options{
		NewWorker: newEcho, Filter: filter.Names([]string{"one", "two", "none", "bad", "down", "when"}), Outcomes: true,
		Limits: event.Limits{MaxBytes: 1000}, BlockSize: 1024,
	})
	require.NoError(t, err)
	assert.Equal(t, `{"line":1,"name":"one","outcome":"transformed","statements":[{"n":1}]}
{"line":2,"name":"two","outcome":"transformed","statements":[{"n":2},{"n":2}]}
{"line":3,"name":"none","outcome":"unmapped","statements":[]}
{"line":4,"name":null,"outcome":"invalid","statements":[],"reason":"empty line"}
{"line":5,"name":"bad","outcome":"rejected","statements":[],"reason":"data.id is \"absent\"","field":"object.id","mapping":"m.yaml:3:5"}
{"line":6,"name":"down","outcome":"rejected","statements":[],"reason":"look-up failed: connection refused"}
{"line":7,"name":null,"outcome":"invalid","statements":[],"reason":"event is not a json object"}
{"line":8,"name":"skip","outcome":"filtered","statements":[]}
{"line":9,"name":"when","outcome":"rejected","statements":[],"reason":"no alternative","field":"when"}
{"line":10,"name":"one","outcome":"transformed","statements":[{"n":4}]}
{"line":11,"name":null,"outcome":"invalid","statements":[],"reason":"event is too large: more than 1000 bytes"}
`, out.String())
}

// The output is in the order of the input, whatever the number of files,
// blocks and workers.
func TestOrder(t *testing.T) {
	const files, lines = 9, 3000
	var inputs []transform.Input
	var want strings.Builder
	n := 0
	for f := range files {
		var b strings.Builder
		for range lines {
			fmt.Fprintf(&b, "{\"name\":\"one\",\"n\":%d,\"pad\":\"%s\"}\n", n, strings.Repeat("p", n%90))
			fmt.Fprintf(&want, "{\"n\":%d}\n", n)
			n++
		}
		name := strconv.Itoa(f)
		if f%2 == 0 {
			inputs = append(inputs, zipped(t, name, b.String()), text("empty", ""))
		} else {
			inputs = append(inputs, text(name, b.String()))
		}
	}
	for _, workers := range []int{1, 3, 8} {
		var out bytes.Buffer
		var progress transform.Progress
		s, err := transform.Run(t.Context(), inputs, &out, transform.Options{NewWorker: newEcho, Workers: workers, BlockSize: 4096, Progress: &progress})
		require.NoError(t, err)
		require.Equal(t, want.String(), out.String())
		assert.EqualValues(t, files*lines, s.Transformed)
		assert.EqualValues(t, files*lines, s.Lines)
		assert.EqualValues(t, files*lines, progress.Lines.Load())
		assert.Positive(t, progress.Bytes.Load())
		assert.True(t, s.Clean())
	}
}

func TestFileNamesInOutcomes(t *testing.T) {
	var out strings.Builder
	_, err := transform.Run(t.Context(), []transform.Input{text("a", `{"name":"none"}`), text("b", "\n")}, &out, transform.Options{NewWorker: newEcho, Outcomes: true})
	require.NoError(t, err)
	assert.Equal(t, `{"file":"a","line":1,"name":"none","outcome":"unmapped","statements":[]}
{"file":"b","line":1,"name":null,"outcome":"invalid","statements":[],"reason":"empty line"}
`, out.String())
}

func TestFaultyInputs(t *testing.T) {
	missing := transform.Input{Name: "missing", Open: func() (io.ReadCloser, error) { return os.Open(filepath.Join(t.TempDir(), "missing")) }}
	var cut transform.Input
	{
		whole := zipped(t, "cut.gz", strings.Repeat("{\"name\":\"one\",\"n\":7}\n", 1000))
		cut = transform.Input{Name: "cut.gz", Open: func() (io.ReadCloser, error) {
			src, err := whole.Open()
			all, _ := io.ReadAll(src)
			return io.NopCloser(bytes.NewReader(all[:len(all)-8])), err
		}}
	}
	var out strings.Builder
	s, err := transform.Run(t.Context(), []transform.Input{missing, cut, text("c", `{"name":"one","n":9}`)}, &out, transform.Options{NewWorker: newEcho})
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("{\"n\":7}\n", 1000)+"{\"n\":9}\n", out.String(), "all that could be read")
	require.Len(t, s.Errors, 2)
	require.ErrorIs(t, s.Errors[0], fs.ErrNotExist)
	require.ErrorIs(t, s.Errors[1], io.ErrUnexpectedEOF)
	assert.Equal(t, "cut.gz: decompress gzip after line 1000: unexpected EOF", s.Errors[1].Error())
	assert.False(t, s.Complete())
	asJSON, err := json.Marshal(s)
	require.NoError(t, err)
	assert.JSONEq(t, `{"file":"cut.gz","error":"decompress gzip after line 1000: unexpected EOF"}`, gjson.GetBytes(asJSON, "errors.1").Raw)
}

// full accepts some bytes, then fails like a disk.
type full struct {
	room int
	err  error
}

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// endless repeats one line for ever.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], e.line[e.at:])
		n, e.at = n+c, (e.at+c)%len(e.line)
	}
	return n, nil
}

func TestFullDisk(t *testing.T) {
	broken := errors.New("no space left on device")
	in := transform.Input{Name: "endless", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(&endless{line: "{\"name\":\"one\",\"n\":1}\n"}), nil
	}}
	s, err := transform.Run(t.Context(), []transform.Input{in, in}, &full{1 << 20, broken}, transform.Options{NewWorker: newEcho})
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "write output: no space left on device")
	assert.Positive(t, s.Transformed)
	assert.False(t, s.Interrupted)
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in := transform.Input{Name: "endless", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(&endless{line: "{\"name\":\"one\",\"n\":1}\n"}), nil
	}}
	var out bytes.Buffer
	after := &hook{w: &out, when: 1 << 20, do: cancel}
	s, err := transform.Run(ctx, []transform.Input{in}, after, transform.Options{NewWorker: newEcho})
	require.NoError(t, err)
	assert.True(t, s.Interrupted)
	assert.False(t, s.Complete())
	assert.EqualValues(t, bytes.Count(out.Bytes(), []byte{'\n'}), s.Statements, "what was counted was written")
}

// hook calls do when enough was written.
type hook struct {
	w    io.Writer
	when int
	do   func()
}

func (h *hook) Write(p []byte) (int, error) {
	if h.when -= len(p); h.when < 0 {
		h.do()
	}
	return h.w.Write(p)
}

// A pipe whose other end says nothing does not hold up the end.
func TestInterruptedWhileWaiting(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	_, err = io.WriteString(w, "{\"name\":\"one\",\"n\":1}\n")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	s, err := transform.Run(ctx, []transform.Input{{Name: "pipe", Open: func() (io.ReadCloser, error) { return r, nil }}},
		&hook{w: &out, when: 1, do: cancel}, transform.Options{NewWorker: newEcho})
	require.NoError(t, err)
	assert.Equal(t, "{\"n\":1}\n", out.String(), "a line is written when it has come")
	assert.True(t, s.Interrupted)
	assert.Empty(t, s.Errors)
}

func TestManyNamesAndReasons(t *testing.T) {
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, "{\"name\":\"name %d \\u001b[2J\",\"n\":1}\n", i)
	}
	b.WriteString(strings.Repeat("?\n", 300))
	b.WriteString(`{"n":1,"name":"` + strings.Repeat("long", 1000) + `"}`)
	s, err := transform.Run(t.Context(), []transform.Input{text("a", b.String())}, io.Discard, transform.Options{NewWorker: newEcho, Workers: 3, BlockSize: 1024})
	require.NoError(t, err)
	assert.EqualValues(t, 10_001, s.Transformed)
	assert.EqualValues(t, 300, s.Invalid)
	assert.Equal(t, transform.OtherNames, s.Events[0].Name)
	assert.LessOrEqual(t, len(s.Events), 2001)
	require.Len(t, s.InvalidLines, 100)
	for i, line := range s.InvalidLines {
		assert.EqualValues(t, 10_001+i, line.Line)
	}
	var report strings.Builder
	require.NoError(t, s.WriteText(&report))
	assert.NotContains(t, report.String(), "\x1b")
	assert.Contains(t, report.String(), "invalid: 200 more\n")
}

// Memory is bounded by the workers, not by the input.
func TestMemory(t *testing.T) {
	line := `{"name":"one","n":1,"pad":"` + strings.Repeat("p", 1000) + "\"}\n"
	in := transform.Input{Name: "big", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(&endless{line: line}, int64(len(line))*200_000)), nil
	}}
	var mu sync.Mutex
	var most uint64
	seen := 0
	watch := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen%50 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		return len(p), nil
	})
	s, err := transform.Run(t.Context(), []transform.Input{in}, watch, transform.Options{NewWorker: newEcho})
	require.NoError(t, err)
	assert.EqualValues(t, 200_000, s.Transformed)
	assert.Less(t, most, uint64(64<<20))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
