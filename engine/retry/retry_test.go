package retry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/failed"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/sink"
	"github.com/erbd/erbd/engine/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a real bucket and a record store that fails as it is told.
type bench struct {
	store  *failed.Store
	sink   *sink.Sink
	client *deliver.Client
}

func newBench(t *testing.T, opt sink.Options) *bench {
	t.Helper()
	e, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: t.TempDir(), Relaxed: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	nc, err := e.Connect("test")
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	b := &bench{}
	b.store, err = failed.Open(t.Context(), js, failed.Options{})
	require.NoError(t, err)
	b.sink, err = sink.New(opt)
	require.NoError(t, err)
	srv := httptest.NewServer(b.sink)
	t.Cleanup(srv.Close)
	b.client, err = deliver.New(deliver.Config{Format: deliver.XAPI, URL: srv.URL})
	require.NoError(t, err)
	t.Cleanup(b.client.Close)
	return b
}

func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func statement(n int, text string) failed.Statement {
	return failed.Statement{ID: id(n), JSON: json.RawMessage(fmt.Sprintf(`{"id":"%s","actor":{},"verb":{},"object":{"id":"%s"}}`, id(n), text))}
}

var day = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func (b *bench) put(t *testing.T, router string, statements ...failed.Statement) failed.Key {
	t.Helper()
	r := &failed.Record{
		Backend: "xapi", Router: router, ID: statements[0].ID, Name: "x", Statements: statements, Event: json.RawMessage(`{"name":"x","data":{}}`),
		Attempts: 1, First: day, Last: day,
	}
	require.NoError(t, b.store.Put(t.Context(), r))
	return r.Key()
}

func (b *bench) target(backend, router string) (Sender, time.Duration, error) {
	if router == "gone" {
		return nil, 0, ErrRouter
	}
	return b.client, time.Second, nil
}

func (b *bench) record(t *testing.T, key failed.Key) *failed.Record {
	t.Helper()
	e, err := b.store.Get(t.Context(), key.String())
	require.NoError(t, err)
	return &e.Record
}

func TestRun(t *testing.T) {
	b := newBench(t, sink.Options{Rules: []sink.Rule{{Pattern: regexp.MustCompile("bad"), Status: 400}}})
	good := b.put(t, "lrs", statement(1, "good"), statement(2, "good"))
	bad := b.put(t, "lrs", statement(3, "bad"))
	half := b.put(t, "lrs", statement(4, "good"), statement(5, "bad"))
	unknown := b.put(t, "gone", statement(6, "good"))
	never := failed.Key{Backend: "xapi", Router: "lrs", Date: day, ID: "never"}
	results := map[string]Result{}
	counts := Run(t.Context(), b.store, []failed.Key{good, bad, half, unknown, never}, Options{
		Target: b.target, Rate: 1000, Report: func(r Result) { results[r.Key] = r },
	})
	assert.Equal(t, map[Outcome]int{Delivered: 1, Left: 2, Skipped: 1, Gone: 1}, counts)
	assert.Equal(t, map[string]Result{
		good.String():    {good.String(), Delivered, ""},
		bad.String():     {bad.String(), Left, "http_400"},
		half.String():    {half.String(), Left, "http_400"},
		unknown.String(): {unknown.String(), Skipped, "no such router"},
		never.String():   {never.String(), Gone, "it is not in the bucket any more"},
	}, results)
	_, err := b.store.Get(t.Context(), good.String())
	require.ErrorIs(t, err, failed.ErrNotFound)
	assert.Equal(t, 2, b.record(t, bad).Attempts)
	r := b.record(t, half)
	require.Len(t, r.Statements, 1, "only what is undelivered stays")
	assert.Equal(t, id(5), r.Statements[0].ID)
	assert.Equal(t, "refused as told", r.Answer)
	assert.EqualValues(t, 3, b.sink.Counts().Unique)
}

func TestDown(t *testing.T) {
	b := newBench(t, sink.Options{Fail: 401})
	var keys []failed.Key
	for n := range 20 {
		keys = append(keys, b.put(t, "lrs", statement(n, "x")))
	}
	counts := Run(t.Context(), b.store, keys, Options{Target: b.target, Parallel: 1})
	assert.Equal(t, map[Outcome]int{Skipped: 20}, counts)
	assert.EqualValues(t, 1, b.sink.Counts().Requests, "the others are not tried")
	assert.Equal(t, 1, b.record(t, keys[0]).Attempts, "it counts as no attempt")
	assert.True(t, b.record(t, keys[0]).Lease.IsZero())
}

func TestRetryAfter(t *testing.T) {
	b := newBench(t, sink.Options{Fail: 429, RetryAfter: time.Hour})
	keys := []failed.Key{b.put(t, "lrs", statement(1, "x")), b.put(t, "lrs", statement(2, "x"))}
	var reasons []string
	counts := Run(t.Context(), b.store, keys, Options{Target: b.target, Parallel: 1, Report: func(r Result) { reasons = append(reasons, r.Reason) }})
	assert.Equal(t, map[Outcome]int{Left: 1, Skipped: 1}, counts)
	assert.Equal(t, []string{"http_429", "the record store asks to come back in 1h0m0s"}, reasons)

	again := newBench(t, sink.Options{First: 1, RetryAfter: time.Second})
	keys = []failed.Key{again.put(t, "lrs", statement(1, "x")), again.put(t, "lrs", statement(2, "x"))}
	assert.Equal(t, map[Outcome]int{Left: 1, Delivered: 1}, Run(t.Context(), again.store, keys, Options{Target: again.target, Parallel: 1}))
}

// TestTwiceAtOnce lets several runs fight for the same events.
func TestTwiceAtOnce(t *testing.T) {
	b := newBench(t, sink.Options{})
	var keys []failed.Key
	for n := range 30 {
		keys = append(keys, b.put(t, "lrs", statement(n, "x")))
	}
	var mu sync.Mutex
	sum := map[Outcome]int{}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for o, n := range Run(t.Context(), b.store, keys, Options{Target: b.target}) {
				mu.Lock()
				sum[o] += n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 30, sum[Delivered])
	assert.Equal(t, 60, sum[Busy]+sum[Gone])
	assert.Equal(t, sink.Counts{Requests: 30, Statements: 30, Unique: 30, ByStatus: map[string]int64{"200": 30}}, b.sink.Counts())
}

func TestInterrupted(t *testing.T) {
	b := newBench(t, sink.Options{})
	key := b.put(t, "lrs", statement(1, "x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, map[Outcome]int{Skipped: 1}, Run(ctx, b.store, []failed.Key{key}, Options{Target: b.target, Rate: 1}))
	b.record(t, key)
}

// worker makes one or two statements of an event.
type worker struct{ result mapping.Result }

func (w *worker) Transform(context.Context, event.Event) mapping.Result { return w.result }

func TestMaker(t *testing.T) {
	b := newBench(t, sink.Options{})
	two := mapping.Result{Outcome: mapping.Transformed}
	for n := 1; n <= 2; n++ {
		s := statement(n, "new")
		two.Statements = append(two.Statements, mapping.Statement{ID: s.ID, JSON: s.JSON})
	}
	w := &worker{result: two}
	m := NewMaker(event.Limits{}, w, func(router string, doc []byte) ([]byte, error) {
		if router == "broken" {
			return nil, errors.ErrUnsupported
		}
		return append([]byte(`{"version":"1.0.3",`), doc[1:]...), nil
	})
	var seen []string
	b.sink, _ = sink.New(sink.Options{Observe: func(st sink.Statement) { seen = append(seen, string(st.JSON)) }})
	srv := httptest.NewServer(b.sink)
	defer srv.Close()
	var err error
	b.client, err = deliver.New(deliver.Config{Format: deliver.XAPI, URL: srv.URL})
	require.NoError(t, err)
	defer b.client.Close()
	key := b.put(t, "lrs", statement(1, "old"))
	assert.Equal(t, map[Outcome]int{Delivered: 1}, Run(t.Context(), b.store, []failed.Key{key}, Options{Target: b.target, Make: m.Make}))
	require.Len(t, seen, 2)
	assert.Equal(t, `{"version":"1.0.3","id":"`+id(1)+`","actor":{},"verb":{},"object":{"id":"new"}}`, seen[0])

	record := func() *failed.Record {
		return &failed.Record{Router: "lrs", Event: json.RawMessage(`{"name":"x","data":{}}`)}
	}
	r := record()
	r.Event = nil
	_, err = m.Make(t.Context(), r)
	require.ErrorIs(t, err, ErrNoEvent)
	r.Event = json.RawMessage(`{}`)
	_, err = m.Make(t.Context(), r)
	require.ErrorIs(t, err, ErrNotMade)
	require.ErrorIs(t, err, event.ErrNoName)
	r = record()
	r.Router = "broken"
	_, err = m.Make(t.Context(), r)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	w.result = mapping.Result{Outcome: mapping.Unmapped}
	_, err = m.Make(t.Context(), record())
	require.ErrorIs(t, err, ErrNotMade)
	w.result = mapping.Result{Outcome: mapping.Rejected, Rejection: &mapping.Rejection{Field: "object.id", Reason: "no id", Pos: diag.Position{File: "a.yaml", Line: 3, Column: 4}}}
	_, err = m.Make(t.Context(), record())
	require.ErrorIs(t, err, ErrNotMade)
	require.ErrorContains(t, err, "(a.yaml:3:4)")
	w.result = mapping.Result{Outcome: mapping.Failed, Err: errors.ErrUnsupported}
	_, err = m.Make(t.Context(), record())
	require.ErrorIs(t, err, errors.ErrUnsupported)

	// What cannot be made stays as it is.
	key = b.put(t, "lrs", statement(9, "old"))
	assert.Equal(t, map[Outcome]int{Failed: 1}, Run(t.Context(), b.store, []failed.Key{key}, Options{Target: b.target, Make: m.Make}))
	assert.Equal(t, 1, b.record(t, key).Attempts)
}
