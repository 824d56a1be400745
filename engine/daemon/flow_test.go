package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/sink"
	"github.com/erbd/erbd/engine/stream"
)

// request is one that an endpoint got.
type request struct {
	at     time.Time
	path   string
	header http.Header
	body   []byte
	// docs are the statements, or the events of the envelope.
	docs []json.RawMessage
}

// holds reports whether a part of the body is there.
func (r *request) holds(text string) bool { return strings.Contains(string(r.body), text) }

// endpoint is a record store that answers as told and remembers the requests, by the first segment of their path.
type endpoint struct {
	*httptest.Server
	// reply is asked for the status; nil or 0 is 200, and answered says that it has answered itself.
	reply atomic.Pointer[func(w http.ResponseWriter, r *request) int]

	mu    sync.Mutex
	all   map[string][]*request
	taken map[string]map[string]int // segment → id → times
}

// answered is what a reply returns that has taken nothing and answered itself.
const answered = -1

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{all: map[string][]*request{}, taken: map[string]map[string]int{}}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r := &request{at: time.Now(), path: strings.Split(strings.Trim(req.URL.Path, "/"), "/")[0], header: req.Header, body: body}
	var envelope struct{ Data []json.RawMessage }
	switch {
	case body[0] == '[':
		err = json.Unmarshal(body, &r.docs)
	case json.Unmarshal(body, &envelope) == nil && envelope.Data != nil:
		r.docs = envelope.Data
	default:
		r.docs = []json.RawMessage{body}
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	e.all[r.path] = append(e.all[r.path], r)
	e.mu.Unlock()
	status := http.StatusOK
	if reply := e.reply.Load(); reply != nil {
		if code := (*reply)(w, r); code != 0 {
			status = code
		}
	}
	if status == answered {
		return
	}
	if status < 300 {
		e.mu.Lock()
		if e.taken[r.path] == nil {
			e.taken[r.path] = map[string]int{}
		}
		for _, doc := range r.docs {
			var s struct{ ID string }
			if json.Unmarshal(doc, &s) == nil {
				e.taken[r.path][s.ID]++
			}
		}
		e.mu.Unlock()
	}
	w.WriteHeader(status)
}

func (e *endpoint) answer(fn func(w http.ResponseWriter, r *request) int) { e.reply.Store(&fn) }

// status answers all requests with one status.
func (e *endpoint) status(code int) {
	e.answer(func(http.ResponseWriter, *request) int { return code })
}

// got returns the requests to a path.
func (e *endpoint) got(path string) []*request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all[path])
}

// unique is how many statements were taken on a path.
func (e *endpoint) unique(path string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.taken[path])
}

// counts are the exact figures of a router.
type counts map[string]uint64

// flowed waits until n events are accepted by each backend and nothing waits any more; then the sums agree.
func flowed(t *testing.T, d *Daemon, n uint64) Status {
	t.Helper()
	var s Status
	require.Eventually(t, func() bool {
		s = d.Status(t.Context())
		for _, b := range s.Backends {
			if b.Accepted < n || b.Waiting > 0 {
				return false
			}
		}
		for _, r := range s.Routers {
			if r.Waiting > 0 || r.Open != 0 {
				return false
			}
		}
		return true
	}, 2*time.Minute, 10*time.Millisecond, "%+v", &s) // a router that was down for long is looked at once a minute
	require.True(t, s.Agree, "%+v", s)
	for _, b := range s.Backends {
		require.Equal(t, n, b.Accepted, b.Name)
		require.Equal(t, n, sum(b.Ends), "each event has one end in backend %s", b.Name)
	}
	for _, r := range s.Routers {
		require.Equal(t, r.Routed, sum(r.Settled), "each event has one outcome at router %s", r.Name)
	}
	return s
}

func sum(m map[string]uint64) (n uint64) {
	for v := range maps.Values(m) {
		n += v
	}
	return n
}

// router returns the figures of a router.
func (s *Status) router(t *testing.T, name string) RouterStatus {
	t.Helper()
	i := slices.IndexFunc(s.Routers, func(r RouterStatus) bool { return r.Name == name })
	require.GreaterOrEqual(t, i, 0, "no router %s", name)
	return s.Routers[i]
}

// packed publishes events as one packed message, as "erbd publish" does.
func packed(t *testing.T, d *Daemon, events ...string) {
	t.Helper()
	nc, err := nats.Connect(d.NATS())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	raw := make([][]byte, len(events))
	for i, e := range events {
		raw[i] = []byte(e)
	}
	messages := stream.PackEvents("erb.raw.lms", t.Name(), raw, 0, 0)
	require.Len(t, messages, 1)
	_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: messages[0].Subject, Header: messages[0].Header, Data: messages[0].Data})
	require.NoError(t, err)
}

func array(events ...string) string { return "[" + strings.Join(events, ",") + "]" }

// video is an event whose statement holds the name of a block.
func video(n int, block string) string {
	return fmt.Sprintf(`{"name":"play_video","timestamp":"2026-03-02T11:00:00.%06dZ","context":{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","user_id":%d},"data":{"id":%q,"duration":10,"currentTime":1}}`, n, n, block)
}

// questions is an event of two questions, which becomes three statements.
func questions(n int) string {
	const block = "block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@0cc0"
	return fmt.Sprintf(`{"name":"problem_check","timestamp":"2026-03-02T12:00:00.%06dZ","context":{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","user_id":%d,"event_source":"server"},
		"data":{"problem_id":%q,"attempts":1,"grade":1,"max_grade":2,"success":"incorrect","submission":{
		"0cc0_2_1":{"question":"First?","answer":"a","response_type":"stringresponse","correct":true},
		"0cc0_3_1":{"question":"Second?","answer":"b","response_type":"stringresponse","correct":false}}}}`, n, n, block)
}

const (
	pageClose  = `{"name":"page_close","timestamp":"2026-03-02T10:00:00Z","context":{},"data":{}}`
	noMapping  = `{"name":"openacademy.tea.poured","timestamp":"2026-03-02T10:00:00Z","context":{},"data":{}}`
	incomplete = `{"name":"edx.course.enrollment.activated","timestamp":"2026-03-02T10:00:00Z","context":{"user_id":1},"data":{"user_id":1}}`
)

// Every way in which an event ends before a router gets it, however it was published.
func TestEndsOfTransformation(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	s := newSite(t, "xapi.names=edx.course.enrollment.activated,play_video,openacademy.tea.poured")
	s.route(`{"xapi": [{"name": "lrs", "url": "%s/lrs", "match_params": {"name": "enrollment"}}]}`, lrs.URL)
	d, _ := s.start()
	// One event a message: one of each end.
	publish(t, d, enrollment(1), pageClose, noMapping, played(1), incomplete, `{"name":`, `"a text"`, ``)
	// The same in an array, and in a packed message; the neighbours of what is invalid are delivered.
	publish(t, d, array(enrollment(2), pageClose, noMapping, `{"name": 7 7}`, `42`, played(2), incomplete, enrollment(3)))
	packed(t, d, enrollment(4), pageClose, `{"name":`, noMapping, played(3), incomplete, enrollment(5))
	// An array that does not end is one invalid event, one that is empty is none.
	publish(t, d, "["+enrollment(6)+","+enrollment(7), `[]`)
	st := flowed(t, d, 24)
	require.Equal(t, map[string]uint64{
		transformed: 5, endFiltered: 3, endUnmapped: 3, endUnrouted: 3, endRejected: 3, endInvalid: 7,
	}, st.Backends[0].Ends)
	require.Equal(t, uint64(7), st.Aside, "what cannot be read is kept")
	require.Len(t, st.Backends[0].Rejected, 1)
	for reason, n := range st.Backends[0].Rejected {
		require.Contains(t, reason, "object.id (")
		require.Regexp(t, `\.yaml:\d+:\d+`, reason)
		require.Equal(t, uint64(3), n)
	}
	require.Equal(t, counts{"delivered": 5}, counts(st.router(t, "lrs").Settled))
	require.Equal(t, 5, lrs.unique("lrs"))
}

// A message of ten thousand things that are no events is kept aside once, not ten thousand times, and each is counted.
func TestManyUnreadableEvents(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	s := newSite(t)
	s.route(`{"xapi": [{"name": "lrs", "url": "%s/lrs"}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, array(strings.Repeat("1,", 9_999)+"1", enrollment(1)), enrollment(2), array(strings.Repeat("{},", maxAside-1)+"{}"))
	st := flowed(t, d, 10_002+maxAside)
	require.Equal(t, map[string]uint64{transformed: 2, endInvalid: 10_000 + maxAside}, st.Backends[0].Ends)
	require.Equal(t, uint64(1+maxAside), st.Aside)
	require.Equal(t, 2, lrs.unique("lrs"))
}

// An event of several statements is one event, whatever happens to its statements.
func TestEventOfSeveralStatements(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	var broken atomic.Int64
	lrs.answer(func(_ http.ResponseWriter, r *request) int {
		switch {
		case r.path == "refuses" && r.holds("0cc0_3_1"):
			return http.StatusBadRequest
		case r.path == "limps" && r.holds("0cc0_3_1") && broken.Add(1) == 1:
			return http.StatusServiceUnavailable
		}
		return 0
	})
	s := newSite(t)
	const batch = `"batch": {"enabled": true, "size": 2, "interval": 0.05}, "retry": {"max_retries": 3, "countdown": 0.05}`
	s.route(`{"xapi": [
		{"name": "alone", "url": "%[1]s/alone"},
		{"name": "batch", "url": "%[1]s/batch", `+batch+`},
		{"name": "refuses", "url": "%[1]s/refuses", `+batch+`},
		{"name": "limps", "url": "%[1]s/limps", `+batch+`}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, questions(1))
	st := flowed(t, d, 1)
	require.Equal(t, map[string]uint64{transformed: 1}, st.Backends[0].Ends)
	for name, want := range map[string]counts{"alone": {"delivered": 1}, "batch": {"delivered": 1}, "refuses": {"dropped": 1}, "limps": {"delivered": 1}} {
		require.Equal(t, want, counts(st.router(t, name).Settled), name)
	}
	require.Len(t, lrs.got("alone"), 1, "all statements of an event go together")
	require.Equal(t, 3, lrs.unique("alone"))
	require.Equal(t, 3, lrs.unique("batch"))
	require.Equal(t, 2, lrs.unique("refuses"), "the parent and the other child are there")
	require.Equal(t, 3, lrs.unique("limps"))
	require.Equal(t, uint64(1), st.router(t, "limps").Retried)
	for _, times := range lrs.taken["limps"] {
		require.Equal(t, 1, times, "what has arrived is not sent again")
	}
}

// The statement logs hold what was sent, line by line, one file a backend.
func TestStatementLogsHoldWhatIsSent(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	dir := t.TempDir()
	s := newSite(t, "caliper.enabled=true", "xapi.logging="+filepath.Join(dir, "x.log"), "caliper.logging="+filepath.Join(dir, "c.log"))
	s.route(`{"xapi": [{"name": "x", "url": "%[1]s/x"}], "caliper": [{"name": "c", "url": "%[1]s/c"}]}`, lrs.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1), played(1), questions(1), pageClose, incomplete)
	st := flowed(t, d, 5)
	for _, b := range st.Backends {
		require.Equal(t, uint64(3), b.Ends[transformed], b.Name)
	}
	for name, statements := range map[string]int{"x": 5, "c": 3} {
		data, err := os.ReadFile(filepath.Join(dir, name+".log"))
		require.NoError(t, err)
		var sent []string
		for _, r := range lrs.got(name) {
			for _, doc := range r.docs {
				sent = append(sent, string(doc))
			}
		}
		require.Len(t, sent, statements, name)
		require.ElementsMatch(t, sent, strings.Split(strings.TrimSpace(string(data)), "\n"), name)
	}
}

// An event that is over the limit is kept aside, one that the server cannot carry is refused at the door, and one
// whose statements the server cannot carry comes to an end that is counted.
func TestOversizedEvents(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	server, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Relaxed: true, MaxPayload: 61_800})
	require.NoError(t, err)
	s := newSite(t, "nats.url="+server.URL(), "limits.event_bytes=60KiB")
	s.route(`{"xapi": [{"name": "lrs", "url": "%s/lrs"}]}`, lrs.URL)
	d, stop := s.start()
	t.Cleanup(func() { // after the daemon's own
		stop()
		require.NoError(t, server.Close())
	})
	nc, err := nats.Connect(server.URL())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	send := func(event string) error {
		_, err := js.Publish(t.Context(), "erb.raw.lms", []byte(event))
		return err
	}
	enrolled := func(n, size int) string {
		return strings.Replace(enrollment(n), `"audit"`, `"`+strings.Repeat("m", size)+`"`, 1)
	}
	block := func(n, size int) string { return video(n, strings.Repeat("b", size)) }
	require.ErrorIs(t, send(enrolled(1, 62<<10)), nats.ErrMaxPayload)
	require.NoError(t, send(enrolled(2, 60<<10))) // over the limit of events
	require.NoError(t, send(enrolled(3, 50<<10))) // its statement and the event kept with it are too large together
	require.NoError(t, send(enrolled(4, 1<<10)))
	require.NoError(t, send(array(block(5, 30_500), block(6, 30_500)))) // their statements are too large together
	require.NoError(t, send(block(7, 60<<10-220)))                      // its statement is too large
	st := flowed(t, d, 6)
	require.Equal(t, map[string]uint64{transformed: 5, endInvalid: 1}, st.Backends[0].Ends)
	r := st.router(t, "lrs")
	require.Equal(t, counts{"delivered": 4, "dropped": 1}, counts(r.Settled))
	require.Equal(t, counts{reasonTooLarge: 1}, counts(r.Reasons))
	require.Equal(t, 4, lrs.unique("lrs"))
	require.Equal(t, uint64(2), st.Aside)
	reasons := map[string]string{}
	for m, err := range stream.AllAside(t.Context(), js) {
		require.NoError(t, err)
		reasons[m.Origin] = m.Reason
	}
	require.Contains(t, reasons["erb.raw.lms"], "61440")
	require.Contains(t, reasons["erb.out.xapi.lrs"], "max_payload")
}

// The receiver of "erbd sink" and a daemon count the same.
func TestSinkAndDaemonAgree(t *testing.T) {
	t.Parallel()
	store, err := sink.New(sink.Options{})
	require.NoError(t, err)
	srv := httptest.NewServer(store)
	t.Cleanup(srv.Close)
	s := newSite(t, "caliper.enabled=true")
	s.route(`{"xapi": [{"name": "x", "url": "%[1]s/xAPI", "batch": {"enabled": true, "size": 50, "interval": 0.05}}], "caliper": [{"name": "c", "url": "%[1]s/caliper", "batch": {"enabled": true, "size": 50, "interval": 0.05}}]}`, srv.URL)
	d, _ := s.start()
	var events []string
	for i := 1; i <= 200; i++ {
		events = append(events, enrollment(i), played(i), questions(i))
	}
	packed(t, d, events...)
	st := flowed(t, d, 600)
	require.Equal(t, counts{"delivered": 600}, counts(st.router(t, "x").Settled))
	require.Equal(t, counts{"delivered": 600}, counts(st.router(t, "c").Settled))
	got := store.Counts()
	require.Equal(t, int64(200*5+200*3), got.Unique)
	require.Zero(t, got.Duplicates)
	require.Equal(t, map[string]int64{"200": got.Requests}, got.ByStatus)
}
