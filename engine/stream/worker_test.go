package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/failed"
)

// lrs is a record store whose answer a rule chooses by the ids of a request.
type lrs struct {
	*httptest.Server
	mu       sync.Mutex
	rule     func(ids []string, h http.Header) int
	taken    map[string]int
	requests [][]string
}

func newLRS(t *testing.T, rule func(ids []string, h http.Header) int) *lrs {
	l := &lrs{rule: rule, taken: map[string]int{}}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *lrs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	if b[0] == '{' {
		b = []byte("[" + string(b) + "]")
	}
	var list []struct{ ID string }
	if err := json.Unmarshal(b, &list); err != nil {
		w.WriteHeader(400)
		return
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	status := 200
	if l.rule != nil {
		status = l.rule(ids, w.Header())
	}
	l.requests = append(l.requests, ids)
	if status == 200 {
		for _, id := range ids {
			l.taken[id]++
		}
	}
	w.WriteHeader(status)
}

func (l *lrs) count(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken[id]
}

func (l *lrs) set(rule func([]string, http.Header) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rule = rule
}

// tally is a Meter that remembers.
type tally struct {
	mu    sync.Mutex
	m     map[string]int
	acked map[uint64]bool
}

func (c *tally) Acked(seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acked == nil {
		c.acked = map[uint64]bool{}
	}
	was := c.acked[seq]
	c.acked[seq] = true
	return !was
}

func (c *tally) add(key string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string]int{}
	}
	c.m[key] += n
}

func (c *tally) Settled(_, router string, o Outcome, reason string, n int) {
	c.add(strings.TrimSpace(router+" "+o.String()+" "+reason), n)
}
func (c *tally) Carried(_, router string, n int)         { c.add(router+" carried", n) }
func (c *tally) Retried(_, router, reason string, n int) { c.add(router+" retried "+reason, n) }
func (c *tally) Paused(_, router, reason string)         { c.add(router+" paused "+reason, 1) }
func (c *tally) Unreadable(_, router string)             { c.add(router+" unreadable", 1) }

func (c *tally) get(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[key]
}

func (c *tally) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for k, v := range c.m {
		out[k] = v
	}
	return out
}

// rig is a bus with routers, a bucket and a meter.
type rig struct {
	*bus
	pub   *Publisher
	store *failed.Store
	tally *tally
	seq   int
}

func newRig(t *testing.T, top Topology, bucket int64) *rig {
	t.Helper()
	b := newBus(t)
	require.NoError(t, top.Ensure(t.Context(), b.js, b.features))
	s, err := failed.Open(t.Context(), b.js, failed.Options{MaxBytes: bucket})
	require.NoError(t, err)
	return &rig{bus: b, pub: NewPublisher(b.nc, b.js, b.features, false), store: s, tally: &tally{}}
}

func (r *rig) publish(t *testing.T, router string, pack int, items ...Item) {
	t.Helper()
	r.seq++
	msgs := Pack(OutSubject("xapi", router), fmt.Sprint("in", r.seq), items, pack, 0)
	require.NoError(t, r.pub.Publish(t.Context(), msgs...))
}

// start runs a worker until the returned function is called or the test ends.
func (r *rig) start(t *testing.T, router, url string, edit ...func(*WorkerConfig)) (stop func()) {
	t.Helper()
	return r.run(t, r.worker(t, router, url, edit...))
}

func (r *rig) worker(t *testing.T, router, url string, edit ...func(*WorkerConfig)) *Worker {
	t.Helper()
	client, err := deliver.New(deliver.Config{Format: deliver.XAPI, URL: url})
	require.NoError(t, err)
	cfg := WorkerConfig{
		Backend: "xapi", Router: router, Batch: 100, Flush: 20 * time.Millisecond, MaxRetries: 2, Countdown: 20 * time.Millisecond,
		PauseMin: 20 * time.Millisecond, PauseMax: 50 * time.Millisecond, AckWait: 2 * time.Second, Idle: 50 * time.Millisecond,
	}
	for _, f := range edit {
		f(&cfg)
	}
	w, err := NewWorker(r.js, r.pub, client, r.store, r.tally, cfg)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return w
}

func (r *rig) run(t *testing.T, w *Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			assert.NoError(t, <-done)
		})
	}
	t.Cleanup(stop)
	return stop
}

func (r *rig) eventually(t *testing.T, f func() bool) {
	t.Helper()
	if !assert.Eventually(t, f, 20*time.Second, 5*time.Millisecond) {
		t.Fatalf("counted %v, queued %d", r.tally.all(), r.stored(t, OutStream))
	}
}

func (r *rig) drained(t *testing.T) {
	t.Helper()
	r.eventually(t, func() bool { return r.stored(t, OutStream) == 0 })
}

func (r *rig) records(t *testing.T) map[string]failed.Record {
	t.Helper()
	out := map[string]failed.Record{}
	require.NoError(t, r.store.Each(t.Context(), failed.Filter{}, func(e *failed.Entry) error {
		out[e.Record.ID] = e.Record
		return nil
	}))
	return out
}

func refuse(status int, bad ...string) func([]string, http.Header) int {
	return func(ids []string, _ http.Header) int {
		for _, id := range ids {
			for _, b := range bad {
				if id == b || b == "*" {
					return status
				}
			}
		}
		return 200
	}
}

func many(n int, critical bool) []Item {
	items := make([]Item, n)
	for i := range items {
		items[i] = item(fmt.Sprintf("e%03d", i), 1, critical)
	}
	return items
}

func TestWorkerDeliversInBatches(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, nil)
	r.publish(t, "lrs", 16, many(250, false)...)
	r.start(t, "lrs", l.URL)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs delivered") == 250 })
	assert.Len(t, l.taken, 250)
	assert.Equal(t, map[string]int{"lrs delivered": 250}, r.tally.all())
	for _, ids := range l.requests {
		assert.LessOrEqual(t, len(ids), 100)
	}
	assert.LessOrEqual(t, len(l.requests), 16)
}

func TestWorkerWithoutBatchesSendsEventsAlone(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, nil)
	r.publish(t, "lrs", 4, item("a", 1, false), item("b", 3, false), item("c", 1, false))
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Batch, c.Flush = 0, time.Hour })
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs delivered") == 3 })
	assert.ElementsMatch(t, [][]string{{"a-0"}, {"b-0", "b-1", "b-2"}, {"c-0"}}, l.requests)
}

func TestWorkerFlushesAPartialBatch(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, nil)
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Flush = 300 * time.Millisecond })
	r.publish(t, "lrs", 1, item("a", 1, false))
	r.publish(t, "lrs", 1, item("b", 1, false))
	r.drained(t)
	assert.Equal(t, 1, l.count("a-0"))
	assert.Equal(t, 1, l.count("b-0"))
}

func TestWorkerIsolatesThePoisonedStatement(t *testing.T) {
	for _, critical := range []bool{true, false} {
		t.Run(fmt.Sprint("critical ", critical), func(t *testing.T) {
			r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
			l := newLRS(t, refuse(400, "e042-0"))
			r.publish(t, "lrs", 16, many(100, critical)...)
			r.start(t, "lrs", l.URL)
			r.drained(t)
			want := map[string]int{"lrs delivered": 99, "lrs dropped http_400": 1}
			if critical {
				want = map[string]int{"lrs delivered": 99, "lrs kept http_400": 1}
			}
			r.eventually(t, func() bool { return r.tally.get("lrs delivered") == 99 })
			assert.Equal(t, want, r.tally.all())
			assert.Len(t, l.taken, 99)
			kept := r.records(t)
			if !critical {
				assert.Empty(t, kept)
				return
			}
			rec := kept["e042"]
			assert.Equal(t, "play_video", rec.Name)
			assert.Equal(t, 400, rec.Status)
			assert.Equal(t, 1, rec.Attempts)
			assert.JSONEq(t, `{"id":"e042-0"}`, string(rec.Statements[0].JSON))
			assert.JSONEq(t, `{"name":"e042"}`, string(rec.Event))
		})
	}
}

func TestWorkerRetriesThenGivesUp(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, refuse(503, "*"))
	r.publish(t, "lrs", 1, item("crit", 1, true), item("other", 1, false))
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Batch = 0 })
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs kept http_503") == 1 && r.tally.get("lrs dropped http_503") == 1 })
	assert.Equal(t, 4, r.tally.get("lrs retried http_503"))
	assert.Equal(t, 3, r.records(t)["crit"].Attempts, "the first and two retries")
	assert.Len(t, l.requests, 6)
}

func TestWorkerRetrySucceeds(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	n := 0
	l := newLRS(t, func([]string, http.Header) int {
		if n++; n == 1 {
			return 500
		}
		return 200
	})
	r.publish(t, "lrs", 10, many(10, true)...)
	r.start(t, "lrs", l.URL)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs delivered") == 10 })
	assert.Equal(t, 10, r.tally.get("lrs retried http_500"))
	assert.Empty(t, r.records(t))
}

// A packed message of which some fails is taken apart: what was delivered is not sent again, and each failed event
// counts its own attempts.
func TestWorkerTakesAPackedMessageApart(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, refuse(503, "e001-0", "e003-0"))
	r.publish(t, "lrs", 5, many(5, true)...)
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Batch = 0 })
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs kept http_503") == 2 })
	assert.Equal(t, map[string]int{"lrs delivered": 3, "lrs kept http_503": 2, "lrs retried http_503": 4}, r.tally.all())
	for _, id := range []string{"e000-0", "e002-0", "e004-0"} {
		assert.Equal(t, 1, l.taken[id])
	}
	for _, rec := range r.records(t) {
		assert.Equal(t, 3, rec.Attempts)
	}
}

func TestWorkerCountsAnEventOnce(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	tries := 0
	l := newLRS(t, func(ids []string, _ http.Header) int {
		if len(ids) > 1 {
			return 400
		}
		switch ids[0] {
		case "a-1":
			return 400
		case "a-2":
			if tries++; tries < 3 {
				return 503
			}
		case "b-0", "b-1":
			return 409
		}
		return 200
	})
	r.publish(t, "lrs", 5, item("a", 3, true), item("b", 2, false))
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Batch = 0 })
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs kept http_400") == 1 })
	assert.Equal(t, map[string]int{"lrs kept http_400": 1, "lrs duplicate": 1, "lrs retried http_503": 2}, r.tally.all())
	rec := r.records(t)["a"]
	require.Len(t, rec.Statements, 1, "only what was lost is kept")
	assert.Equal(t, "a-1", rec.Statements[0].ID)
	assert.Equal(t, 1, l.taken["a-0"])
	assert.Equal(t, 1, l.taken["a-2"])
}

func TestWorkerHonoursRetryAfter(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	var at []time.Time
	l := newLRS(t, func(_ []string, h http.Header) int {
		at = append(at, time.Now())
		if len(at) == 1 {
			h.Set("Retry-After", "1")
			return 429
		}
		return 200
	})
	r.publish(t, "lrs", 1, many(3, false)...)
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Batch, c.InFlight = 0, 1 })
	r.drained(t)
	assert.GreaterOrEqual(t, at[1].Sub(at[0]), time.Second, "nothing is sent before the record store is ready")
}

func TestWorkerPausesForADeadEndpointOnly(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("dead", "alive")}, 0)
	sock, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := sock.Addr().String()
	require.NoError(t, sock.Close())
	alive := newLRS(t, nil)
	r.publish(t, "dead", 4, many(20, true)...)
	r.start(t, "dead", "http://"+addr)
	r.eventually(t, func() bool { return r.tally.get("dead paused unreachable") == 1 })
	r.start(t, "alive", alive.URL)
	r.publish(t, "alive", 4, many(40, true)...)
	r.eventually(t, func() bool { return r.tally.get("alive delivered") == 40 })
	c, err := r.js.Consumer(t.Context(), OutStream, DeliverDurable("xapi", "dead"))
	require.NoError(t, err)
	assert.True(t, c.CachedInfo().Paused)
	time.Sleep(500 * time.Millisecond) // many looks more than MaxRetries

	back := &lrs{taken: map[string]int{}}
	sock, err = net.Listen("tcp", addr)
	require.NoError(t, err)
	back.Server = httptest.NewUnstartedServer(back)
	require.NoError(t, back.Listener.Close())
	back.Listener = sock
	back.Start()
	t.Cleanup(back.Close)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("dead delivered") == 20 && r.tally.get("dead paused") == 0 })
	assert.Len(t, back.taken, 20)
	assert.Empty(t, r.records(t), "no attempt was used up")
	assert.Zero(t, r.tally.get("dead retried unreachable"))
	c, err = r.js.Consumer(t.Context(), OutStream, DeliverDurable("xapi", "dead"))
	require.NoError(t, err)
	r.eventually(t, func() bool { i, err := c.Info(t.Context()); return err == nil && !i.Paused })
}

// Stopping and starting during a pause uses no attempt either.
func TestWorkerStopsDuringAPause(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, refuse(401, "*"))
	r.publish(t, "lrs", 2, many(4, true)...)
	for i := range 5 {
		stop := r.start(t, "lrs", l.URL)
		r.eventually(t, func() bool { return r.tally.get("lrs paused http_401") == i+1 })
		stop()
		assert.Positive(t, r.stored(t, OutStream))
	}
	l.set(refuse(503, "*"))
	r.start(t, "lrs", l.URL)
	r.drained(t)
	r.eventually(t, func() bool { return len(r.records(t)) == 4 })
	for _, rec := range r.records(t) {
		assert.Equal(t, 3, rec.Attempts)
		assert.Equal(t, "http_503", rec.Reason)
	}
}

func TestWorkerKeepsTheMessageWhileTheBucketIsFull(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 1)
	l := newLRS(t, refuse(400, "e000-0"))
	r.publish(t, "lrs", 4, many(4, true)...)
	r.publish(t, "lrs", 4, item("later", 1, false))
	stop := r.start(t, "lrs", l.URL)
	r.eventually(t, func() bool { return r.tally.get("lrs paused bucket") == 1 })
	assert.EqualValues(t, 0, len(r.records(t)))
	assert.Positive(t, r.stored(t, OutStream))
	stop()
	s, err := failed.Open(t.Context(), r.js, failed.Options{})
	require.NoError(t, err)
	r.store = s
	r.start(t, "lrs", l.URL)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs kept http_400") == 1 })
	assert.Len(t, r.records(t), 1)
	assert.Equal(t, 4, r.tally.get("lrs delivered"))
}

func TestWorkerSetsUnreadableMessagesAside(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, nil)
	require.NoError(t, r.pub.Publish(t.Context(), Message{Subject: OutSubject("xapi", "lrs"), ID: "x", Data: []byte("nonsense")}))
	r.publish(t, "lrs", 1, item("a", 1, false))
	r.start(t, "lrs", l.URL)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs unreadable") == 1 })
	var got []Aside
	for a, err := range AllAside(t.Context(), r.js) {
		require.NoError(t, err)
		got = append(got, a)
	}
	require.Len(t, got, 1)
	assert.Equal(t, "nonsense", string(got[0].Data))
	assert.Equal(t, OutSubject("xapi", "lrs"), got[0].Origin)
	assert.Contains(t, got[0].Reason, "header Erb-Format is missing")
	assert.Equal(t, 1, l.count("a-0"))
}

func TestWorkersShareARouter(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	l := newLRS(t, nil)
	for range 3 {
		r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Batch = 7 })
	}
	r.publish(t, "lrs", 3, many(300, false)...)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs delivered") == 300 })
	for id, n := range l.taken {
		assert.Equal(t, 1, n, id)
	}
}

func TestWorkerFinishesRequestsWhenStopped(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	entered, release := make(chan struct{}), make(chan struct{})
	l := newLRS(t, func([]string, http.Header) int {
		close(entered)
		<-release
		return 200
	})
	r.publish(t, "lrs", 4, many(4, false)...)
	stop := r.start(t, "lrs", l.URL)
	<-entered
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	stop()
	assert.Zero(t, r.stored(t, OutStream))
	assert.Equal(t, 4, r.tally.get("lrs delivered"))
}

func TestWorkerGivesUpAHangingRequestWhenStopped(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	entered, release := make(chan struct{}, 1), make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		entered <- struct{}{}
		select {
		case <-release:
		case <-req.Context().Done():
		}
	}))
	defer hang.Close()
	defer close(release)
	r.publish(t, "lrs", 4, many(4, true)...)
	stop := r.start(t, "lrs", hang.URL, func(c *WorkerConfig) { c.Drain = 50 * time.Millisecond })
	<-entered
	stop()
	assert.EqualValues(t, 4, r.stored(t, OutStream), "handed back, each event by itself")
	l := newLRS(t, nil)
	r.start(t, "lrs", l.URL)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs delivered") == 4 })
}

// While a slow request runs the server hands its messages to nobody else.
func TestWorkerKeepsSlowRequestsToItself(t *testing.T) {
	r := newRig(t, Topology{Routers: []Lane{{Backend: "xapi", Router: "lrs", AckWait: 300 * time.Millisecond}}}, 0)
	l := newLRS(t, func([]string, http.Header) int {
		time.Sleep(time.Second)
		return 200
	})
	r.publish(t, "lrs", 4, many(4, false)...)
	for range 2 {
		r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.AckWait = 300 * time.Millisecond })
	}
	r.drained(t)
	assert.Len(t, l.requests, 1)
}

// So it is while a batch fills for longer than AckWait.
func TestWorkerKeepsAFillingBatchToItself(t *testing.T) {
	const ackWait = 500 * time.Millisecond
	r := newRig(t, Topology{Routers: []Lane{{Backend: "xapi", Router: "lrs", AckWait: ackWait}}}, 0)
	l := newLRS(t, nil)
	r.publish(t, "lrs", 1, many(3, false)...)
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.AckWait, c.Flush = ackWait, 6*ackWait })
	r.drained(t)
	assert.Len(t, l.requests, 1)
	c, err := r.js.Consumer(t.Context(), OutStream, DeliverDurable("xapi", "lrs"))
	require.NoError(t, err)
	// Left alone, each would be handed out six times; a busy machine may be late once.
	assert.Less(t, c.CachedInfo().Delivered.Consumer, uint64(9), "deliveries of three messages")
}

func TestWornMessagesAreGivenUp(t *testing.T) {
	r := newRig(t, Topology{Routers: []Lane{{Backend: "xapi", Router: "lrs", MaxRetries: 2}}}, 0)
	l := newLRS(t, nil)
	r.publish(t, "lrs", 4, item("a", 1, true))
	c, err := r.js.Consumer(t.Context(), OutStream, DeliverDurable("xapi", "lrs"))
	require.NoError(t, err)
	for range 50 {
		b, err := c.Fetch(1)
		require.NoError(t, err)
		for m := range b.Messages() {
			require.NoError(t, m.Nak())
		}
	}
	r.start(t, "lrs", l.URL)
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs kept redelivered") == 1 })
	assert.Empty(t, l.requests)
}

func TestNewWorkerRefuses(t *testing.T) {
	b := newBus(t)
	pub := NewPublisher(b.nc, b.js, b.features, false)
	client, err := deliver.New(deliver.Config{Format: deliver.XAPI, URL: "http://h"})
	require.NoError(t, err)
	for i, cfg := range []WorkerConfig{{}, {Backend: "a", Router: "b c"}, {Backend: "a", Router: "b", Batch: -1}, {Backend: "a", Router: "b", Flush: -1}} {
		_, err := NewWorker(b.js, pub, client, &failed.Store{}, &tally{}, cfg)
		assert.Error(t, err, strconv.Itoa(i))
	}
	_, err = NewWorker(b.js, pub, nil, nil, nil, WorkerConfig{Backend: "a", Router: "b"})
	assert.ErrorIs(t, err, ErrWorker)
	w, err := NewWorker(b.js, pub, client, &failed.Store{}, &tally{}, WorkerConfig{Backend: "a", Router: "b"})
	require.NoError(t, err)
	assert.ErrorContains(t, w.Run(t.Context()), "consumer of a router b")
}
