package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/route"
	"github.com/erbd/erbd/engine/stream"
	"github.com/erbd/erbd/mappings"
)

// lumberjack never ends the goroutine that removes old files: one a statement log.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

// recordStore remembers what it got and answers as told.
type recordStore struct {
	*httptest.Server
	mu  sync.Mutex
	ids map[string]int
	// answer, if set, may refuse a request before it is stored.
	answer atomic.Pointer[func(body []byte) int]
}

func newRecordStore(t *testing.T) *recordStore {
	r := &recordStore{ids: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if answer := r.answer.Load(); answer != nil {
			if code := (*answer)(body); code != 200 {
				w.WriteHeader(code)
				return
			}
		}
		r.take(body)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recordStore) take(body []byte) {
	var envelope struct{ Data []json.RawMessage }
	var list []json.RawMessage
	switch {
	case json.Unmarshal(body, &envelope) == nil && envelope.Data != nil:
		list = envelope.Data
	case json.Unmarshal(body, &list) != nil:
		list = []json.RawMessage{body}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, raw := range list {
		var s struct{ ID string }
		if json.Unmarshal(raw, &s) == nil {
			r.ids[s.ID]++
		}
	}
}

func (r *recordStore) unique() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ids)
}

func (r *recordStore) answerWith(fn func(body []byte) int) { r.answer.Store(&fn) }

// site is a daemon under test with its files.
type site struct {
	t         *testing.T
	dir       string
	settings  *config.Settings
	directory *lookup.Directory
	routers   atomic.Pointer[string]
	loadError atomic.Pointer[error]
	loads     atomic.Int64
}

func newSite(t *testing.T, assignments ...string) *site {
	s := &site{t: t, dir: t.TempDir()}
	src := config.Sources{}
	for _, a := range append([]string{"nats.store=" + filepath.Join(s.dir, "data"), "nats.listen=127.0.0.1:0", "http.listen=127.0.0.1:0", "nats.sync_always=false"}, assignments...) {
		as, err := config.ParseAssignment(a, "test")
		require.NoError(t, err)
		src.Set = append(src.Set, as)
	}
	settings, faults := config.Load(src)
	require.NoError(t, faults.Err())
	s.settings = settings
	d, err := lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(t, err)
	s.directory = d
	return s
}

func (s *site) route(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.routers.Store(&text)
}

func (s *site) load(context.Context) (*Snapshot, error) {
	s.loads.Add(1)
	if err := s.loadError.Load(); err != nil && *err != nil {
		return nil, *err
	}
	var backends []Backend
	for _, name := range []string{"xapi", "caliper"} {
		if !map[string]bool{"xapi": s.settings.XAPI.Enabled, "caliper": s.settings.Caliper.Enabled}[name] {
			continue
		}
		sub, err := fs.Sub(mappings.FS, name)
		if err != nil {
			return nil, err
		}
		set, faults := mapping.Load(sub, mapping.Options{Backend: name, Settings: s.settings.Constants("1"), Directory: s.directory})
		if err := faults.Err(); err != nil {
			return nil, err
		}
		names, err := s.settings.XAPI.NameFilter()
		if err != nil {
			return nil, err
		}
		logging := s.settings.XAPI.Logging
		if name == "caliper" {
			if names, err = s.settings.Caliper.NameFilter(); err != nil {
				return nil, err
			}
			logging = s.settings.Caliper.Logging
		}
		backends = append(backends, Backend{Name: name, Set: set, Names: names, Logging: logging})
	}
	text := *s.routers.Load()
	routers, faults := route.Parse("routers.yaml", []byte(text), route.Options{Batch: s.settings.Batch, Retry: s.settings.Retry, Timeout: s.settings.Timeout})
	if err := faults.Err(); err != nil {
		return nil, err
	}
	if err := routers.Resolve(os.LookupEnv).Err(); err != nil {
		return nil, err
	}
	return NewSnapshot(s.settings, backends, routers, fmt.Sprintf("%s %p", routers.Hash(), s.directory)), nil
}

// start runs a daemon and returns it with the function that stops it and waits.
func (s *site) start() (*Daemon, func()) {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{s.t}, nil))
	d, err := New(s.t.Context(), Options{Settings: s.settings, Load: s.load, LookupEnv: os.LookupEnv, Log: log, Stdout: io.Discard})
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			require.NoError(s.t, <-done)
		})
	}
	s.t.Cleanup(stop)
	return d, stop
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if testing.Verbose() {
		w.t.Logf("%s", strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

func publish(t *testing.T, d *Daemon, messages ...string) {
	t.Helper()
	nc, err := nats.Connect(d.NATS())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for _, m := range messages {
		_, err := js.Publish(t.Context(), "erb.raw.lms", []byte(m))
		require.NoError(t, err)
	}
}

func enrollment(n int) string {
	return fmt.Sprintf(`{"name":"edx.course.enrollment.activated","timestamp":"2026-03-02T09:00:00.%06dZ","context":{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1"},"data":{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","user_id":%d,"mode":"audit"}}`, n%1000000, n)
}

func played(n int) string {
	return fmt.Sprintf(`{"name":"play_video","timestamp":"2026-03-02T10:00:00.%06dZ","context":{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","user_id":%d},"data":{"id":"cells","duration":10,"currentTime":1}}`, n%1000000, n)
}

// settled waits until the daemon has taken n events for a backend and nothing waits any more.
func settled(t *testing.T, d *Daemon, n uint64) Status {
	t.Helper()
	var s Status
	require.Eventually(t, func() bool {
		s = d.Status(t.Context())
		for _, r := range s.Routers {
			if r.Waiting > 0 || r.Open > 0 {
				return false
			}
		}
		return len(s.Backends) > 0 && s.Backends[0].Accepted >= n && s.Backends[0].Waiting == 0
	}, 30*time.Second, 20*time.Millisecond, "%+v", &s)
	require.True(t, s.Agree, "%+v", s)
	return s
}

func TestEndToEnd(t *testing.T) {
	lrs, caliper := newRecordStore(t), newRecordStore(t)
	s := newSite(t, "caliper.enabled=true")
	s.route(`{"xapi": [{"name": "lrs", "url": %q, "batch": {"enabled": true, "size": 10, "interval": 0.2}}, {"name": "videos", "url": %q, "match_params": {"name": ["video"]}}],
		"caliper": [{"name": "cal", "url": %q, "match_params": {"name": "^play"}}]}`, lrs.URL, lrs.URL, caliper.URL)
	d, stop := s.start()
	var events []string
	for i := 1; i <= 20; i++ {
		events = append(events, enrollment(i), played(i))
	}
	events = append(events,
		"["+enrollment(100)+","+enrollment(101)+"]",
		`{"name":"play_video","time":"2026-03-02T10:00:00+00:00","event_type":"play_video","context":{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","user_id":7},"event":"{\"id\":\"cells\",\"duration\":10,\"currentTime\":1}"}`,
		`{"name":"page_close","timestamp":"2026-03-02T10:00:00Z","context":{},"data":{}}`,
		`{"name":"play_video","timestamp":"2026-03-02T10:00:00Z","context":{"user_id":1},"data":{}}`,
		`{"name":`,
		`no json at all`,
	)
	publish(t, d, events...)
	st := settled(t, d, 47)
	require.Equal(t, map[string]uint64{transformed: 43, endFiltered: 1, endRejected: 1, endInvalid: 2}, st.Backends[0].Ends)
	require.Equal(t, 43, lrs.unique())
	require.Equal(t, 21, caliper.unique())
	for _, r := range st.Routers {
		require.Equal(t, map[string]int64{"xapi/lrs": 43, "xapi/videos": 21, "caliper/cal": 21}[r.Backend+"/"+r.Name], int64(r.Settled["delivered"]), r.Name)
	}
	// Each backend keeps what it cannot read aside.
	require.Equal(t, uint64(4), st.Aside)
	stop()
}

func TestCriticalEventsAreKept(t *testing.T) {
	lrs := newRecordStore(t)
	lrs.answerWith(func([]byte) int { return http.StatusBadRequest })
	s := newSite(t)
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1), played(1))
	st := settled(t, d, 2)
	require.Equal(t, map[string]uint64{"kept": 1, "dropped": 1}, st.Routers[0].Settled)
	require.Equal(t, uint64(1), st.Failed)
	require.Equal(t, "http_400", st.Routers[0].LastError)
}

func TestStopAndStartLoseNothing(t *testing.T) {
	lrs := newRecordStore(t)
	var slow atomic.Bool
	slow.Store(true)
	lrs.answerWith(func([]byte) int {
		if slow.Load() {
			time.Sleep(20 * time.Millisecond)
		}
		return 200
	})
	s := newSite(t)
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, lrs.URL)
	const n = 300
	d, stop := s.start()
	var events []string
	for i := 1; i <= n; i++ {
		events = append(events, enrollment(i))
	}
	publish(t, d, events...)
	stop()
	require.Less(t, lrs.unique(), n)
	slow.Store(false)
	d, _ = s.start()
	require.Eventually(t, func() bool { return lrs.unique() == n }, 30*time.Second, 20*time.Millisecond)
	settled(t, d, 0)
}

func TestReload(t *testing.T) {
	first, second := newRecordStore(t), newRecordStore(t)
	s := newSite(t)
	s.route(`{"xapi": [{"name": "one", "url": %q}]}`, first.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1))
	settled(t, d, 1)

	before := d.snapshot.Load()
	broken := errors.New("video.yaml:3:1: something is wrong")
	s.loadError.Store(&broken)
	require.ErrorIs(t, d.Reload(t.Context()), broken)
	require.Same(t, before, d.snapshot.Load(), "a bad reload must leave the very same snapshot")
	require.Equal(t, broken.Error(), d.Status(t.Context()).Fault)
	resp, err := http.Get("http://" + d.HTTP() + "/readyz")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, string(body), "something is wrong")

	var none error
	s.loadError.Store(&none)
	require.NoError(t, d.Reload(t.Context()))
	require.Same(t, before, d.snapshot.Load(), "an equal configuration changes nothing")
	require.Empty(t, d.Status(t.Context()).Fault)

	s.route(`{"xapi": [{"name": "two", "url": %q}]}`, second.URL)
	resp, err = http.Post("http://"+d.HTTP()+"/-/reload", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	publish(t, d, enrollment(2))
	require.Eventually(t, func() bool { return second.unique() == 1 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, first.unique())
	require.Eventually(t, func() bool { return len(d.lanes.list()) == 1 }, 10*time.Second, 50*time.Millisecond, "the removed router is not retired")
}

func TestRemovedRouterDrains(t *testing.T) {
	lrs := newRecordStore(t)
	lrs.answerWith(func([]byte) int { return http.StatusServiceUnavailable })
	s := newSite(t, "retry.countdown=0.1", "retry.max_retries=1000")
	s.route(`{"xapi": [{"name": "one", "url": %q}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1), enrollment(2))
	require.Eventually(t, func() bool { return d.ledger.counts("xapi", "one").Retried > 0 }, 10*time.Second, 10*time.Millisecond)
	s.route(`{"xapi": []}`)
	require.NoError(t, d.Reload(t.Context()))
	publish(t, d, enrollment(3))
	lrs.answerWith(func([]byte) int { return 200 })
	require.Eventually(t, func() bool { return lrs.unique() == 2 && len(d.lanes.list()) == 0 }, 20*time.Second, 50*time.Millisecond)
	_, ends, _ := d.ledger.backendCounts("xapi")
	require.Equal(t, uint64(1), ends[endUnrouted])
}

// outage is a source that is down until told otherwise.
type outage struct{ up atomic.Bool }

func (o *outage) User(_ context.Context, key string) (*lookup.User, error) {
	if !o.up.Load() {
		return nil, errors.New("connection refused")
	}
	return &lookup.User{ID: 1, Username: key, ExternalIDs: map[string]string{"xapi": "user-" + key}}, nil
}

func (o *outage) Course(_ context.Context, id string) (*lookup.Course, error) {
	return &lookup.Course{ID: id, DisplayName: "Biology"}, nil
}

func TestEventsWaitForLookups(t *testing.T) {
	lrs := newRecordStore(t)
	s := newSite(t)
	source := &outage{}
	directory, err := lookup.NewDirectory(source, lookup.Options{})
	require.NoError(t, err)
	s.directory = directory
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1), enrollment(2))
	time.Sleep(300 * time.Millisecond)
	require.Zero(t, lrs.unique())
	require.Zero(t, d.Status(t.Context()).Backends[0].Accepted)
	source.up.Store(true)
	st := settled(t, d, 2)
	require.Equal(t, map[string]uint64{transformed: 2}, st.Backends[0].Ends)
	require.Equal(t, 2, lrs.unique())
}

// An event that waits for look-ups turns to those of a new configuration.
func TestWaitingEventSeesReload(t *testing.T) {
	lrs := newRecordStore(t)
	s := newSite(t)
	down, err := lookup.NewDirectory(&outage{}, lookup.Options{})
	require.NoError(t, err)
	s.directory = down
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1))
	time.Sleep(200 * time.Millisecond)
	s.directory, err = lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(t, err)
	require.NoError(t, d.Reload(t.Context()))
	settled(t, d, 1)
	require.Equal(t, 1, lrs.unique())
}

func TestStatementLog(t *testing.T) {
	lrs := newRecordStore(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "xapi_tracking.log")
	s := newSite(t, "xapi.logging="+file)
	s.route(`{"xapi": [{"name": "lrs", "url": %q, "match_params": {"name": "enrollment"}}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1), played(1))
	st := settled(t, d, 2)
	require.Equal(t, uint64(1), st.Backends[0].Ends[endUnrouted])
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Len(t, strings.Split(strings.TrimSpace(string(data)), "\n"), 2, "the log has what no router wants too")
	require.NoError(t, os.Rename(file, file+".1"))
	d.ReopenLogs()
	publish(t, d, enrollment(2))
	settled(t, d, 3)
	require.FileExists(t, file)
}

func TestSecondDaemonIsRefused(t *testing.T) {
	s := newSite(t)
	s.route(`{}`)
	s.start()
	_, err := New(t.Context(), Options{Settings: s.settings, Load: s.load, LookupEnv: os.LookupEnv, Log: slog.New(slog.DiscardHandler), Stdout: io.Discard})
	require.ErrorIs(t, err, stream.ErrLocked)
}

func TestMetrics(t *testing.T) {
	lrs := newRecordStore(t)
	s := newSite(t)
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1), `{"name":"page_close","timestamp":"2026-03-02T10:00:00Z","context":{},"data":{}}`)
	settled(t, d, 2)
	resp, err := http.Get("http://" + d.HTTP() + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, line := range []string{
		`erb_events_accepted_total{backend="xapi"} 2`,
		`erb_events_total{backend="xapi",outcome="filtered"} 1`,
		`erb_routed_total{backend="xapi",router="lrs"} 1`,
		`erb_settled_total{backend="xapi",outcome="delivered",router="lrs"} 1`,
		`erb_config_last_reload_successful 1`,
	} {
		require.Contains(t, string(body), line)
	}
}

func TestTracing(t *testing.T) {
	lrs := newRecordStore(t)
	var spans atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.URL.Path == "/v1/traces" && strings.Contains(string(body), "transform") && strings.Contains(string(body), "deliver") {
			spans.Add(1)
		}
	}))
	defer collector.Close()
	s := newSite(t, "tracing.endpoint="+collector.URL)
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, lrs.URL)
	d, stop := s.start()
	publish(t, d, enrollment(1))
	settled(t, d, 1)
	stop()
	require.Equal(t, int64(1), spans.Load())
}

// A consumer that stays paused because its daemon was killed flows again when the next one starts.
func TestStartEndsAnOldPause(t *testing.T) {
	lrs := newRecordStore(t)
	s := newSite(t)
	s.route(`{"xapi": []}`)
	d, stop := s.start()
	s.route(`{"xapi": [{"name": "lrs", "url": %q, "match_params": {"name": "play"}}]}`, lrs.URL)
	require.NoError(t, d.Reload(t.Context()))
	_, err := d.js.PauseConsumer(t.Context(), stream.OutStream, stream.DeliverDurable("xapi", "lrs"), time.Now().Add(time.Hour))
	require.NoError(t, err)
	publish(t, d, played(1))
	require.Eventually(t, func() bool { return d.ledger.counts("xapi", "lrs").Routed == 1 }, 10*time.Second, 10*time.Millisecond)
	stop()
	d, _ = s.start()
	settled(t, d, 0)
	require.Eventually(t, func() bool { return lrs.unique() == 1 }, 20*time.Second, 20*time.Millisecond)
}
