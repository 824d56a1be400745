package daemon

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/failed"
	"github.com/erbd/erbd/engine/sink"
)

// routersOf writes one xAPI router for each name, with the address of the endpoint and what they have in common.
func routersOf(address, common string, names ...string) string {
	var list []string
	for _, n := range names {
		list = append(list, fmt.Sprintf(`{"name": %q, "url": "%s/%s", %s}`, n, address, n, common))
	}
	return `{"xapi": [` + strings.Join(list, ",") + `]}`
}

func names(prefix string, statuses ...int) (out []string) {
	for _, s := range statuses {
		out = append(out, fmt.Sprint(prefix, s))
	}
	return out
}

// statusOf is the number at the end of a router's name.
func statusOf(path string) (code int) {
	_, _ = fmt.Sscanf(strings.TrimLeft(path, "abcdefghijklmnopqrstuvwxyz-"), "%d", &code)
	return code
}

const quick = `"retry": {"max_retries": 2, "countdown": 0.05}`

// A statement that is there already counts as there, whichever way the record store says so.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	strict, err := sink.New(sink.Options{RefuseKnown: true}) // 409 for what it knows
	require.NoError(t, err)
	lenient, err := sink.New(sink.Options{}) // 200
	require.NoError(t, err)
	a, b := httptest.NewServer(strict), httptest.NewServer(lenient)
	t.Cleanup(a.Close)
	t.Cleanup(b.Close)
	s := newSite(t)
	s.route(`{"xapi": [{"name": "strict", "url": %q}, {"name": "lenient", "url": %q},
		{"name": "batch", "url": %q, "match_params": {"name": "video"}, "batch": {"enabled": true, "size": 10, "interval": 0.05}}]}`, a.URL, b.URL, b.URL+"/other")
	d, _ := s.start()
	publish(t, d, enrollment(1))
	flowed(t, d, 1)
	publish(t, d, enrollment(1))                                           // the same again
	publish(t, d, strings.Replace(enrollment(1), `"audit"`, `"honor"`, 1)) // the same id with other content: the first one counts
	st := flowed(t, d, 3)
	require.Equal(t, counts{"delivered": 1, "duplicate": 2}, counts(st.router(t, "strict").Settled))
	require.Equal(t, counts{"delivered": 2, "duplicate": 1}, counts(st.router(t, "lenient").Settled))
	require.Equal(t, int64(1), strict.Counts().Unique)
	require.Equal(t, int64(1), lenient.Counts().Unique)

	requests := lenient.Counts().Statements
	publish(t, d, array(played(1), played(1), played(2), played(1)))
	st = flowed(t, d, 7)
	require.Equal(t, counts{"delivered": 2, "duplicate": 2}, counts(st.router(t, "batch").Settled), "of equal ids in a batch one is sent")
	require.Equal(t, requests+2+4, lenient.Counts().Statements)
	require.Zero(t, st.Failed)
}

// Failures that may pass are tried again, and the event arrives once.
func TestTransientFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	lrs.answer(func(w http.ResponseWriter, r *request) int {
		if len(lrs.got(r.path)) > 2 {
			return 0
		}
		if r.path == "cut" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close() //nolint:errcheck // that is the point
			}
			return answered
		}
		return statusOf(r.path)
	})
	all := append(names("s", 408, 429, 500, 502, 503, 504), "cut")
	s := newSite(t)
	s.route("%s", routersOf(lrs.URL, quick, all...))
	d, _ := s.start()
	publish(t, d, played(1))
	st := flowed(t, d, 1)
	for _, name := range all {
		r := st.router(t, name)
		require.Equal(t, counts{"delivered": 1}, counts(r.Settled), name)
		require.Equal(t, uint64(2), r.Retried, name)
		require.Len(t, lrs.got(name), 3, name)
		if name != "cut" {
			require.Equal(t, counts{fmt.Sprint("http_", statusOf(name)): 2}, counts(r.Reasons), name)
		}
	}
}

// When the attempts are used up an event is dropped, and a critical one kept with all that is known of it.
func TestExhaustedEvents(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	lrs.answer(func(w http.ResponseWriter, _ *request) int {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "too busy")
		return answered
	})
	s := newSite(t)
	s.route("%s", routersOf(lrs.URL, quick, "lrs"))
	d, _ := s.start()
	publish(t, d, enrollment(1), played(1), array(enrollment(2), played(2)))
	st := flowed(t, d, 4)
	r := st.router(t, "lrs")
	require.Equal(t, counts{"dropped": 2, "kept": 2}, counts(r.Settled))
	require.Equal(t, uint64(8), r.Retried)
	require.Equal(t, counts{"http_503": 12}, counts(r.Reasons))
	require.Len(t, lrs.got("lrs"), 12, "each event has three attempts")
	require.Equal(t, uint64(2), st.Failed)
	var events []string
	require.NoError(t, d.store.Each(t.Context(), failed.Filter{}, func(e *failed.Entry) error {
		events = append(events, string(e.Record.Event))
		require.Equal(t, "edx.course.enrollment.activated", e.Record.Name)
		require.Equal(t, "xapi/lrs", e.Record.Backend+"/"+e.Record.Router)
		require.Equal(t, 3, e.Record.Attempts)
		require.Equal(t, http.StatusServiceUnavailable, e.Record.Status)
		require.Equal(t, "too busy", e.Record.Answer)
		require.Len(t, e.Record.Statements, 1)
		return nil
	}))
	require.ElementsMatch(t, []string{enrollment(1), enrollment(2)}, events)
	// What is sent again or given up is not counted any more.
	removed, err := d.store.Purge(t.Context(), failed.Filter{})
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	require.Zero(t, d.Status(t.Context()).Failed)
}

// Refusals that are final are not tried again.
func TestPermanentRefusals(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	lrs.answer(func(_ http.ResponseWriter, r *request) int { return statusOf(r.path) })
	all := names("s", 400, 402, 405, 406, 410, 412, 413, 415, 422, 451)
	s := newSite(t)
	s.route("%s", routersOf(lrs.URL, quick, all...))
	d, _ := s.start()
	publish(t, d, enrollment(1), played(1))
	st := flowed(t, d, 2)
	for _, name := range all {
		r := st.router(t, name)
		require.Equal(t, counts{"dropped": 1, "kept": 1}, counts(r.Settled), name)
		require.Zero(t, r.Retried, name)
		require.Equal(t, fmt.Sprint("http_", statusOf(name)), r.LastError)
		require.Len(t, lrs.got(name), 2, name)
	}
	require.Equal(t, uint64(len(all)), st.Failed)
}

// One poisoned statement of a batch costs the others nothing but requests.
func TestPoisonedBatch(t *testing.T) {
	t.Parallel()
	const n = 40
	all := names("s", 400, 409, 413, 422)
	stores := map[string]*sink.Sink{}
	var list []string
	for _, name := range all {
		store, err := sink.New(sink.Options{Rules: []sink.Rule{{Pattern: regexp.MustCompile("poison"), Status: statusOf(name)}}})
		require.NoError(t, err)
		srv := httptest.NewServer(store)
		t.Cleanup(srv.Close)
		stores[name] = store
		list = append(list, fmt.Sprintf(`{"name": %q, "url": %q, "batch": {"enabled": true, "size": 100, "interval": 0.05}}`, name, srv.URL))
	}
	s := newSite(t, "critical=edx.course.enrollment.activated")
	s.route("%s", `{"xapi": [`+strings.Join(list, ",")+`]}`)
	d, _ := s.start()
	events := make([]string, n)
	for i := range events {
		events[i] = video(i+1, "cells")
	}
	events[17] = video(18, "poison")
	publish(t, d, array(events...))
	st := flowed(t, d, n)
	for _, name := range all {
		r := st.router(t, name)
		got := stores[name].Counts()
		want := counts{"delivered": n - 1, "dropped": 1}
		if statusOf(name) == http.StatusConflict {
			want = counts{"delivered": n - 1, "duplicate": 1}
		}
		require.Equal(t, want, counts(r.Settled), name)
		require.Zero(t, r.Retried, name)
		require.Equal(t, int64(n-1), got.Unique, name)
		require.Zero(t, got.Duplicates, name)
		require.LessOrEqual(t, got.Requests, int64(14), "the batch is halved, not taken one by one")
	}
}

// A batch that partly fails for a while is taken apart: only what failed is sent again.
func TestBatchThatPartlyFails(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	var ill atomic.Int64
	lrs.answer(func(_ http.ResponseWriter, r *request) int {
		if r.holds("feverish") && ill.Add(1) <= 2 {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	s := newSite(t)
	s.route("%s", routersOf(lrs.URL, `"requests": 1, "batch": {"enabled": true, "size": 2, "interval": 0.05}, `+quick, "lrs"))
	d, _ := s.start()
	publish(t, d, array(video(1, "cells"), video(2, "cells"), video(3, "feverish"), video(4, "cells"), video(5, "cells"), video(6, "cells")))
	st := flowed(t, d, 6)
	r := st.router(t, "lrs")
	require.Equal(t, counts{"delivered": 6}, counts(r.Settled))
	require.GreaterOrEqual(t, r.Retried, uint64(3), "the two of the request, then the feverish one")
	require.LessOrEqual(t, r.Retried, uint64(4))
	require.Equal(t, 6, lrs.unique("lrs"))
	for id, times := range lrs.taken["lrs"] {
		require.Equal(t, 1, times, id)
	}
}

// What the record store asks for with Retry-After is waited for, in seconds or as a date.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	lrs.answer(func(w http.ResponseWriter, r *request) int {
		if len(lrs.got(r.path)) > 1 {
			return 0
		}
		after := "1"
		if strings.HasPrefix(r.path, "date") { // whole seconds, so between one and two
			after = time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat)
		}
		w.Header().Set("Retry-After", after)
		return statusOf(r.path)
	})
	all := append(names("s", 429, 503), "date503")
	s := newSite(t)
	s.route("%s", routersOf(lrs.URL, quick, all...))
	d, _ := s.start()
	publish(t, d, played(1))
	st := flowed(t, d, 1)
	for _, name := range all {
		require.Equal(t, counts{"delivered": 1}, counts(st.router(t, name).Settled), name)
		got := lrs.got(name)
		require.Len(t, got, 2, name)
		require.GreaterOrEqual(t, got[1].at.Sub(got[0].at), 950*time.Millisecond, name)
	}
}

// A batch goes when it is full, or when its interval is over, for which no other event has to come.
func TestBatchesFlush(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	s := newSite(t)
	s.route(`{"xapi": [
		{"name": "timer", "url": "%[1]s/timer", "batch": {"enabled": true, "size": 100, "interval": 0.5}},
		{"name": "full", "url": "%[1]s/full", "batch": {"enabled": true, "size": 3, "interval": "1h"}}]}`, lrs.URL)
	d, _ := s.start()
	begin := time.Now()
	publish(t, d, played(1), played(2), played(3))
	st := flowed(t, d, 3)
	for _, name := range []string{"timer", "full"} {
		require.Equal(t, counts{"delivered": 3}, counts(st.router(t, name).Settled), name)
	}
	require.GreaterOrEqual(t, lrs.got("timer")[0].at.Sub(begin), 500*time.Millisecond)
	require.Len(t, lrs.got("full"), 1)
	require.Len(t, lrs.got("full")[0].docs, 3)
}

// Where the endpoint, not the event, is at fault, the router stops, says so, and goes on when it is mended. Another
// router does not wait for it.
func TestRouterPauses(t *testing.T) {
	t.Parallel()
	// An address where nobody listens yet.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := l.Addr().String()
	require.NoError(t, l.Close())

	lrs := newEndpoint(t)
	lrs.answer(func(w http.ResponseWriter, r *request) int {
		if r.path == "s307" {
			w.Header().Set("Location", "/elsewhere")
		}
		return statusOf(r.path)
	})
	paused := names("s", 307, 401, 403, 404)
	s := newSite(t)
	text := routersOf(lrs.URL, `"retry": {"max_retries": 0, "countdown": 0.05}`, append(slices.Clone(paused), "healthy")...)
	text = strings.TrimSuffix(text, "]}") + fmt.Sprintf(`, {"name": "dead", "url": "http://%s/dead", "retry": {"max_retries": 0}}]}`, dead)
	s.route("%s", text)
	d, _ := s.start()
	const n = 200
	var events []string
	for i := 1; i <= n; i++ {
		events = append(events, enrollment(i), played(i))
	}
	packed(t, d, events...)
	reasons := map[string]string{"s307": "redirect", "s401": "http_401", "s403": "http_403", "s404": "http_404", "dead": "unreachable"}
	var st Status
	require.Eventually(t, func() bool {
		st = d.Status(t.Context())
		for name := range reasons {
			if st.router(t, name).Paused == "" {
				return false
			}
		}
		return st.router(t, "healthy").Settled["delivered"] == 2*n
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, 2*n, lrs.unique("healthy"), "the others do not slow it")
	for name, reason := range reasons {
		r := st.router(t, name)
		require.Equal(t, reason, r.Paused, name)
		require.Equal(t, reason, r.LastError, name)
		require.Empty(t, r.Settled, name)
		require.Zero(t, r.Retried, name)
		require.Positive(t, r.Waiting, name)
		require.LessOrEqual(t, len(lrs.got(name)), 30, "%s: a paused router does not hammer", name)
	}
	require.Zero(t, st.Failed)
	require.True(t, st.Agree)
	var body []byte
	require.Eventually(t, func() bool { // a scrape shows no backlog where the message server is slow to answer
		resp, err := http.Get("http://" + d.HTTP() + "/metrics")
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(body), "erb_router_waiting_messages")
	}, time.Minute, 100*time.Millisecond)
	for name := range reasons {
		require.Contains(t, string(body), fmt.Sprintf(`erb_router_paused{backend="xapi",router=%q} 1`, name))
	}
	require.Contains(t, string(body), `erb_router_paused{backend="xapi",router="healthy"} 0`)
	require.Regexp(t, `erb_router_waiting_messages\{backend="xapi",router="dead"\} [1-9]`, string(body))
	require.Regexp(t, `erb_router_oldest_seconds\{backend="xapi",router="dead"\} [0-9.e-]+\n`, string(body))
	require.Contains(t, string(body), `erb_router_waiting_messages{backend="xapi",router="healthy"} 0`)
	require.Contains(t, string(body), `erb_intake_waiting_messages{backend="xapi"} 0`)
	require.Contains(t, string(body), "erb_counters_agree 1")

	// All is mended.
	l, err = net.Listen("tcp", dead)
	require.NoError(t, err)
	late := httptest.NewUnstartedServer(lrs)
	late.Listener.Close() //nolint:errcheck // replaced
	late.Listener = l
	late.Start()
	t.Cleanup(late.Close)
	lrs.status(0)
	st = flowed(t, d, 2*n)
	for name := range reasons {
		r := st.router(t, name)
		require.Equal(t, counts{"delivered": 2 * n}, counts(r.Settled), name)
		require.Empty(t, r.Paused, name)
		require.Zero(t, r.Retried, "%s: a pause uses no attempt", name)
		require.Equal(t, 2*n, lrs.unique(name))
	}
}

// An endpoint that does not answer keeps its own router only.
func TestHangingEndpoint(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	release := make(chan struct{})
	lrs.answer(func(_ http.ResponseWriter, r *request) int {
		if r.path == "hangs" {
			<-release
		}
		return 0
	})
	s := newSite(t)
	s.route("%s", routersOf(lrs.URL, `"timeout": "10s"`, "hangs", "healthy"))
	d, _ := s.start()
	const n = 300
	var events []string
	for i := 1; i <= n; i++ {
		events = append(events, played(i))
	}
	packed(t, d, events...)
	require.Eventually(t, func() bool { return lrs.unique("healthy") == n }, 20*time.Second, 10*time.Millisecond)
	require.Zero(t, lrs.unique("hangs"))
	close(release)
	st := flowed(t, d, n)
	for _, name := range []string{"hangs", "healthy"} {
		require.Equal(t, counts{"delivered": n}, counts(st.router(t, name).Settled), name)
	}
}

// A wrong password is mended by an edit of the routers file: what waited is delivered with the new one.
func TestMendedByReload(t *testing.T) {
	t.Parallel()
	store, err := sink.New(sink.Options{User: "key", Password: "right"})
	require.NoError(t, err)
	srv := httptest.NewServer(store)
	t.Cleanup(srv.Close)
	s := newSite(t)
	const router = `{"xapi": [{"name": "lrs", "url": %q, "auth": {"scheme": "basic", "username": "key", "password": %q}, "retry": {"max_retries": 0}}]}`
	dir := t.TempDir()
	password := func(text string) string {
		path := filepath.Join(dir, text)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return "${file:" + path + "}"
	}
	s.route(router, srv.URL, password("wrong"))
	d, stop := s.start()
	publish(t, d, array(enrollment(1), played(1)), enrollment(2))
	require.Eventually(t, func() bool { return d.ledger.counts("xapi", "lrs").Paused == "http_401" }, 10*time.Second, 10*time.Millisecond)
	s.route(router, srv.URL, password("right"))
	require.NoError(t, d.Reload(t.Context()))
	st := flowed(t, d, 3)
	require.Equal(t, counts{"delivered": 3}, counts(st.router(t, "lrs").Settled))
	require.Empty(t, st.router(t, "lrs").Paused)
	require.Equal(t, int64(3), store.Counts().Unique)

	// The same over a restart: what waits for a paused router waits on the disk.
	s.route(router, srv.URL, password("wrong"))
	require.NoError(t, d.Reload(t.Context()))
	publish(t, d, enrollment(4), played(4))
	require.Eventually(t, func() bool { return d.ledger.counts("xapi", "lrs").Paused == "http_401" }, 10*time.Second, 10*time.Millisecond)
	stop()
	s.route(router, srv.URL, password("right"))
	again, _ := s.start()
	require.Eventually(t, func() bool { return store.Counts().Unique == 5 }, 20*time.Second, 20*time.Millisecond)
	delivered := func(d *Daemon) uint64 { return d.ledger.counts("xapi", "lrs").Settled["delivered"] }
	require.Eventually(t, func() bool { return delivered(d)+delivered(again) == 5 }, 10*time.Second, 10*time.Millisecond)
	require.Zero(t, store.Counts().Duplicates)
	st = again.Status(t.Context())
	require.True(t, st.Agree, "%+v", st)
	r := st.router(t, "lrs")
	require.Equal(t, []uint64{0, 2, 2}, []uint64{r.Routed, r.Carried, r.Settled["delivered"]}, "the earlier run handed them over")
	require.Zero(t, r.Open)
}
