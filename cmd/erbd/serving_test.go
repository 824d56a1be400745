package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup/source"
)

const patience = time.Minute

// arrival is a statement that a record store got on a path.
type arrival struct {
	path string
	ID   string `json:"id"`
	// Version by the mapping, twice, by the filter, by the router and by the look-up file.
	Mapping string `json:"mapping"`
	Again   string `json:"again"`
	Filter  string `json:"filter"`
	Router  string `json:"router"`
	Course  string `json:"course"`
}

// lrs takes every statement while it is not down.
type lrs struct {
	*httptest.Server
	mu  sync.Mutex
	all []arrival
	ids map[string]map[string]int // path → id → times
	// down refuses all requests.
	down atomic.Bool
}

func newLRS(t *testing.T) *lrs {
	l := &lrs{ids: map[string]map[string]int{}}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var list []arrival
		if len(body) > 0 && body[0] == '{' {
			body = []byte("[" + string(body) + "]")
		}
		if err := json.Unmarshal(body, &list); err != nil {
			list = []arrival{{ID: err.Error()}}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, a := range list {
			a.path = strings.Split(r.URL.Path, "/")[1]
			l.all = append(l.all, a)
			if l.ids[a.path] == nil {
				l.ids[a.path] = map[string]int{}
			}
			l.ids[a.path][a.ID]++
		}
	}))
	t.Cleanup(l.Close)
	return l
}

// count is how many statements have come on paths, and how many of them more than once.
func (l *lrs) count(paths ...string) (unique, repeated int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]int{}
	for _, p := range paths {
		for id, n := range l.ids[p] {
			all[id] += n
		}
	}
	for _, n := range all {
		if n > 1 {
			repeated++
		}
	}
	return len(all), repeated
}

// serving is a daemon with its files.
type serving struct {
	t       *testing.T
	dir     string
	version int
}

func newServing(t *testing.T) *serving { return &serving{t: t, dir: t.TempDir()} }

func (s *serving) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *serving) write(name, text string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(text), 0o600))
}

// files are those of one version of a site.
func files(version int, routers string) map[string]string {
	return map[string]string{
		"erbd.yaml": "nats: {store: data, listen: '127.0.0.1:0', sync_always: false}\nhttp: {listen: '127.0.0.1:0'}\n" +
			"mappings: mappings\nfilters: filters\nrouters: routers.yaml\nlookup: {path: lms.json, unknown_users: pseudonym}\nxapi: {names: [play]}\n",
		"mappings/xapi/play.yaml": fmt.Sprintf("version: 1\nbackend: xapi\nevents:\n  play: {}\nstatement:\n  id: ${get(\"data.id\")}\n  mapping: v%d\n  again: v%d\n"+
			"  course: ${course_name(get(\"context.course_id\"))}\n  filter:\n    $filter: xapi.test.filter\n    $value: v%d\n", version, version, version),
		"filters/f.yaml": fmt.Sprintf("version: 1\nbackend: xapi\nfilters:\n  - at: xapi.test.filter\n    value: v%d\n", version),
		"routers.yaml":   routers,
		"lms.json":       fmt.Sprintf(`{"users": [], "courses": [{"id": "course-v1:a+b+c", "display_name": "v%d"}]}`, version),
	}
}

// publishConfigMap puts all files in place at once, as Kubernetes does it for a ConfigMap: by turning one link.
func (s *serving) publishConfigMap(all map[string]string) {
	s.t.Helper()
	s.version++
	folder := fmt.Sprintf("..v%d", s.version)
	for name, text := range all {
		s.write(folder+"/"+name, text)
	}
	require.NoError(s.t, os.Symlink(folder, s.path("..data_tmp")))
	require.NoError(s.t, os.Rename(s.path("..data_tmp"), s.path("..data")))
	if s.version == 1 {
		for _, name := range []string{"erbd.yaml", "mappings", "filters", "routers.yaml", "lms.json"} {
			require.NoError(s.t, os.Symlink(filepath.Join("..data", name), s.path(name)))
		}
	}
	require.NoError(s.t, os.RemoveAll(s.path(fmt.Sprintf("..v%d", s.version-2))))
}

// lines is a log.
type lines struct {
	t  *testing.T
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newApp is what run makes of a command line.
func (s *serving) newApp(log io.Writer, set ...string) *app {
	a := &app{stdout: io.Discard, stderr: log, lookupEnv: os.LookupEnv, configFile: s.path("erbd.yaml"), running: true}
	a.sources.Options = source.Options{LookupEnv: a.lookupEnv, Connect: a.connectLookups, Health: a.lookupHealth}
	for _, text := range set {
		require.NoError(s.t, (&setFlag{a}).Set(text))
	}
	return a
}

// start runs a daemon; stop stops it and waits.
func (s *serving) start(set ...string) (srv *server, log *lines, stop func()) {
	s.t.Helper()
	log = &lines{t: s.t}
	a := s.newApp(log, set...)
	srv, err := a.newServer(s.t.Context())
	require.NoError(s.t, err)
	srv.quiet = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			assert.NoError(s.t, <-done)
			assert.NoError(s.t, a.sources.Close())
			if s.t.Failed() {
				s.t.Log(log.String())
			}
		})
	}
	s.t.Cleanup(stop)
	return srv, log, stop
}

func (s *serving) until(what string, ok func() bool) {
	s.t.Helper()
	require.Eventually(s.t, ok, patience, 5*time.Millisecond, what)
}

// feed publishes events with ids until stop is called, which returns how many there are.
func (s *serving) feed(srv *server, every time.Duration, event func(n int) string) (stop func() int) {
	s.t.Helper()
	nc, err := nats.Connect(srv.NATS())
	require.NoError(s.t, err)
	js, err := jetstream.New(nc)
	require.NoError(s.t, err)
	n, quit, done := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if _, err := js.Publish(context.Background(), "erb.raw.lms", []byte(event(n+1))); !assert.NoError(s.t, err) {
				return
			}
			n++
		}
	}()
	return func() int {
		close(quit)
		<-done
		nc.Close()
		return n
	}
}

func play(n int) string {
	return fmt.Sprintf(`{"name":"play","timestamp":"2026-03-02T10:00:00Z","context":{"course_id":"course-v1:a+b+c"},"data":{"id":"e%d"}}`, n)
}

func get(t *testing.T, srv *server, path string) string {
	t.Helper()
	out, err := ask(http.MethodGet, "http://"+srv.HTTP()+path, nil)
	require.NoError(t, err)
	return string(out)
}
