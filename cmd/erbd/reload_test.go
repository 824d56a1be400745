package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/daemon"
)

// TestManyEdits turns 200 versions of all files live while events flow, every tenth of them broken in one file.
func TestManyEdits(t *testing.T) {
	before := goleak.IgnoreCurrent()
	const edits = 200
	store := newLRS(t)
	s := newServing(t)
	routers := func(v int) string {
		list := []any{map[string]any{
			// A change of path, batch and retry now and then, beside that of an override in each version.
			"name": "main", "url": fmt.Sprintf("%s/%c", store.URL, 'a'+v/10%2), "override_args": map[string]string{"router": fmt.Sprintf("v%d", v)},
			"batch": map[string]any{"enabled": v/20%2 == 1, "size": 5 + v/20, "interval": 0.1}, "retry": map[string]any{"max_retries": v / 30, "countdown": 0.1},
		}}
		if v/7%2 == 1 { // it comes and goes
			list = append(list, map[string]any{"name": "extra", "url": store.URL + "/extra", "override_args": map[string]string{"router": fmt.Sprintf("v%d", v)}})
		}
		b, err := json.Marshal(map[string]any{"xapi": list})
		require.NoError(t, err)
		return string(b)
	}
	s.publishConfigMap(files(0, routers(0)))
	srv, _, stop := s.start()
	published := s.feed(srv, 2*time.Millisecond, play)
	s.until("events flow", func() bool { n, _ := store.count("a"); return n > 20 })

	breaks := []string{"mappings/xapi/play.yaml", "filters/f.yaml", "routers.yaml", "lms.json", "erbd.yaml"}
	var slowest time.Duration
	for v := 1; v <= edits; v++ {
		snap := srv.Snapshot()
		all := files(v, routers(v))
		broken := v%10 == 0
		if broken {
			name := breaks[v/10%len(breaks)]
			all[name] += "\n  : ["
		}
		began := time.Now()
		s.publishConfigMap(all)
		if broken {
			s.until("the fault is shown", func() bool { return srv.Status(t.Context()).Fault != "" })
			require.Same(t, snap, srv.Snapshot(), "a bad reload leaves the very same snapshot")
			continue
		}
		s.until("the change is live", func() bool { return srv.Snapshot() != snap })
		slowest = max(slowest, time.Since(began))
		s.until("no fault is left", func() bool { return srv.Status(t.Context()).Fault == "" })
	}
	n := published()
	t.Logf("%d events during %d edits; the slowest was live after %s", n, edits, slowest)
	s.until("all arrive", func() bool { got, _ := store.count("a", "b"); return got >= n })
	s.until("the counters agree", func() bool {
		st := srv.Status(t.Context())
		for _, r := range st.Routers {
			if r.Waiting > 0 || r.Open != 0 {
				return false
			}
		}
		return st.Agree && st.Backends[0].Accepted == uint64(n)
	})
	got, repeated := store.count("a", "b")
	assert.Equal(t, n, got)
	assert.Zero(t, repeated)
	extra, repeated := store.count("extra")
	assert.NotZero(t, extra)
	assert.Zero(t, repeated)
	versions := map[string]bool{}
	for _, a := range store.all {
		require.NotEmpty(t, a.Mapping)
		require.Equal(t, arrival{a.path, a.ID, a.Mapping, a.Mapping, a.Mapping, a.Mapping, a.Mapping}, a, "a statement is made by one version of all files")
		versions[a.Mapping] = true
	}
	t.Logf("statements of %d versions", len(versions))
	for v := 10; v <= edits; v += 10 {
		assert.False(t, versions[fmt.Sprintf("v%d", v)], "a broken version made a statement")
	}
	stop()
	store.Close()
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)
}

// TestRemembered starts with a broken file.
func TestRemembered(t *testing.T) {
	store := newLRS(t)
	s := newServing(t)
	routers := fmt.Sprintf(`{"xapi": [{"name": "main", "url": "%s/a", "override_args": {"router": "v1"}}]}`, store.URL)
	good := files(1, routers)
	for name, text := range good {
		s.write(name, text)
	}

	// Nothing is remembered yet.
	broken := []string{"routers.yaml", "mappings/xapi/play.yaml", "lms.json"}
	for _, name := range broken {
		s.write(name, good[name]+"\n  : [")
	}
	_, err := s.newApp(io.Discard).newServer(t.Context())
	require.Error(t, err)
	for _, name := range broken {
		assert.Contains(t, spelled(err).Error(), filepath.Base(name)+":", "all faults are told")
		s.write(name, good[name])
	}
	srv, _, stop := s.start()
	hash := srv.Snapshot().Hash
	stop()
	for _, name := range []string{"routers.yaml", "mappings/xapi/play.yaml", "filters/f.yaml", "lms.json", "erbd.yaml"} {
		t.Run(name, func(t *testing.T) {
			s := &serving{t: t, dir: s.dir}
			s.write(name, good[name]+"\n  : [")
			srv, log, stop := s.start()
			assert.Equal(t, hash, srv.Snapshot().Hash, "the very configuration from before")
			assert.Contains(t, log.String(), "the configuration is not used: erbd starts with the one that worked last")
			assert.Contains(t, log.String(), filepath.Base(name)+":")
			n, _ := store.count("a")
			published := s.feed(srv, time.Millisecond, func(i int) string { return play(n + i) })
			s.until("it works", func() bool { got, _ := store.count("a"); return got > n })
			published()
			for _, page := range []string{"/status", "/readyz"} {
				body := get(t, srv, page)
				assert.Contains(t, body, `"fault":`, page)
				assert.Contains(t, body, filepath.Base(name)+":", page)
				assert.Contains(t, body, `"remembered":"20`, page)
				assert.Contains(t, body, "200 OK", page)
			}
			metrics := get(t, srv, "/metrics")
			assert.Contains(t, metrics, "erb_config_last_reload_successful 0")
			assert.Contains(t, metrics, `erb_config_hash{hash="`+hash+`"} 1`)
			assert.Contains(t, metrics, `erb_config_reloads_total{result="bad"} 1`)
			var text strings.Builder
			st := srv.Status(t.Context())
			require.NoError(t, writeStatus(&text, &st))
			assert.Contains(t, text.String(), "remembered from before the start")

			// The files are watched on.
			snap := srv.Snapshot()
			s.write(name, good[name])
			s.until("the fault is gone", func() bool { return srv.Status(t.Context()).Fault == "" })
			if name != "lms.json" { // its time has changed
				assert.Same(t, snap, srv.Snapshot(), "the same files as before are no change")
			}
			assert.Zero(t, srv.Status(t.Context()).Remembered)
			hash = srv.Snapshot().Hash
			stop()
		})
	}

	// Without a folder for it nothing is remembered; what is remembered may be of no use either.
	s.write("routers.yaml", "{xapi: [}")
	_, err = s.newApp(io.Discard, "state=off").newServer(t.Context())
	require.ErrorContains(t, err, "1 fault in the routers")
	copies, err := filepath.Glob(s.path("data/last-good-*"))
	require.NoError(t, err)
	require.Len(t, copies, 1)
	require.NoError(t, os.RemoveAll(copies[0]))
	_, err = s.newApp(io.Discard).newServer(t.Context())
	require.ErrorContains(t, err, "the configuration that worked last cannot be used either")
}

// TestRouterRemovedWhileStopped delivers what waits for a router that left the file while nothing ran.
func TestRouterRemovedWhileStopped(t *testing.T) {
	store := newLRS(t)
	store.down.Store(true)
	s := newServing(t)
	for name, text := range files(1, fmt.Sprintf(`{"xapi": [{"name": "old", "url": "%s/old", "retry": {"max_retries": 1000, "countdown": 0.1}}]}`, store.URL)) {
		s.write(name, text)
	}
	srv, _, stop := s.start()
	published := s.feed(srv, time.Millisecond, play)
	s.until("events wait", func() bool {
		routers := srv.Status(t.Context()).Routers
		return len(routers) > 0 && routers[0].Waiting > 20
	})
	n := published()
	s.until("all are transformed", func() bool { return srv.Status(t.Context()).Backends[0].Accepted == uint64(n) })
	stop()
	s.write("routers.yaml", fmt.Sprintf(`{"xapi": [{"name": "new", "url": "%s/new"}]}`, store.URL))
	store.down.Store(false)
	srv, log, _ := s.start()
	s.until("all arrive", func() bool { got, _ := store.count("old"); return got == n })
	s.until("it is retired", func() bool { return strings.Contains(log.String(), "router drained") })
	st := srv.Status(t.Context())
	require.Len(t, st.Routers, 2)
	assert.True(t, st.Routers[1].Removed)
	got, repeated := store.count("old")
	assert.Equal(t, n, got)
	assert.Zero(t, repeated)
}

// TestRouterRemovedThenRestarted delivers what waits for a router that left the file while the daemon ran, after two
// starts before the record store is up again.
func TestRouterRemovedThenRestarted(t *testing.T) {
	store := newLRS(t)
	store.down.Store(true)
	s := newServing(t)
	for name, text := range files(1, fmt.Sprintf(`{"xapi": [{"name": "old", "url": "%s/old", "retry": {"max_retries": 1000, "countdown": 0.1}}]}`, store.URL)) {
		s.write(name, text)
	}
	srv, _, stop := s.start()
	published := s.feed(srv, time.Millisecond, play)
	s.until("events wait", func() bool {
		routers := srv.Status(t.Context()).Routers
		return len(routers) > 0 && routers[0].Waiting > 20
	})
	n := published()
	s.until("all are transformed", func() bool { return srv.Status(t.Context()).Backends[0].Accepted == uint64(n) })
	s.write("routers.yaml", fmt.Sprintf(`{"xapi": [{"name": "new", "url": "%s/new"}]}`, store.URL))
	s.until("it is removed", func() bool {
		for _, r := range srv.Status(t.Context()).Routers {
			if r.Name == "old" {
				return r.Removed
			}
		}
		return false
	})
	stop()
	_, _, stop = s.start()
	stop()
	store.down.Store(false)
	srv, _, _ = s.start()
	s.until("all arrive", func() bool { got, _ := store.count("old"); return got == n })
}

// TestSettingsThatNeedRestart changes some with some that do not, and a path, whose new file is watched from then on.
func TestSettingsThatNeedRestart(t *testing.T) {
	store := newLRS(t)
	s := newServing(t)
	routers := func(v int) string {
		return fmt.Sprintf(`{"xapi": [{"name": "main", "url": "%s/a", "override_args": {"router": "v%d"}}]}`, store.URL, v)
	}
	good := files(1, routers(1))
	for name, text := range good {
		s.write(name, text)
	}
	srv, log, _ := s.start()
	s.until("it serves", func() bool { return srv.Status(t.Context()).Ready })
	loads := func() string {
		_, after, _ := strings.Cut(get(t, srv, "/metrics"), "erb_config_reloads_total{result=\"good\"} ")
		n, _, _ := strings.Cut(after, "\n")
		return n
	}
	first := loads()
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	s.until("a hang-up reloads", func() bool { return loads() != first })

	s.write("other.yaml", routers(2))
	changed := strings.NewReplacer("routers: routers.yaml", "routers: other.yaml", "listen: '127.0.0.1:0'}\nmappings", "listen: 'off'}\nmappings", "xapi: {", "caliper: {enabled: true}\nxapi: {")
	s.write("erbd.yaml", changed.Replace(good["erbd.yaml"]))
	s.until("the rest is applied", func() bool { return srv.Snapshot().Settings.Routers == s.path("other.yaml") })
	s.until("it is said", func() bool { return len(srv.Status(t.Context()).Restart) > 0 })
	assert.Equal(t, []string{"http.listen", "caliper.enabled"}, srv.Status(t.Context()).Restart)
	assert.Contains(t, get(t, srv, "/readyz"), `"restart":["http.listen","caliper.enabled"]`)
	assert.Contains(t, get(t, srv, "/metrics"), "erb_config_restart_settings 2")
	s.until("it is logged", func() bool { return strings.Contains(log.String(), `settings="http.listen, caliper.enabled"`) })
	out, err := ask(http.MethodPost, "http://"+srv.HTTP()+"/-/reload", nil)
	require.NoError(t, err)
	assert.Contains(t, string(out), `"restart":["http.listen","caliper.enabled"]`)
	assert.Equal(t, 1, strings.Count(log.String(), "settings that need a restart"), "once")

	snap := srv.Snapshot()
	s.write("other.yaml", routers(3))
	s.until("the new file is watched", func() bool { return srv.Snapshot() != snap })

	s.write("erbd.yaml", good["erbd.yaml"])
	s.until("nothing needs a restart", func() bool { return len(srv.Status(t.Context()).Restart) == 0 })
	assert.Contains(t, get(t, srv, "/metrics"), "erb_config_restart_settings 0")
	var st daemon.Status
	_, body, _ := strings.Cut(get(t, srv, "/status"), "\n")
	require.NoError(t, json.Unmarshal([]byte(body), &st))
	assert.Empty(t, st.Restart)
}
