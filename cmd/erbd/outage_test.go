package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup/mysql/mariadb"
)

// TestDatabaseStopsUnderLoad stops and starts the data base of the LMS while events flow: they wait, and none of them
// is rejected for it.
func TestDatabaseStopsUnderLoad(t *testing.T) {
	db, ok := mariadb.New(t)
	if !ok {
		return
	}
	t.Setenv("LMS_DB", db.DSN())
	store := newLRS(t)
	s := newServing(t)
	s.write("erbd.yaml", "nats: {store: data, listen: '127.0.0.1:0', sync_always: false}\nhttp: {listen: '127.0.0.1:0'}\nmappings: mappings\nrouters: routers.yaml\n"+
		"lookup: {type: mysql, dsn: '${env:LMS_DB}', cache_ttl: 0.05, timeout: 1}\nxapi: {names: [play]}\n") // asked all the time
	s.write("mappings/xapi/play.yaml", `{version: 1, backend: xapi, events: {play: {}}, statement: {id: '${get("data.id")}', mapping: '${user(get("context.user_id"), "xapi")}'}}`)
	s.write("routers.yaml", fmt.Sprintf(`{"xapi": [{"name": "main", "url": "%s/a", "batch": {"enabled": true, "size": 50, "interval": 0.1}}]}`, store.URL))
	srv, log, _ := s.start()
	user := func(n int) int { return 100 + n*37%2000 }
	published := s.feed(srv, 2*time.Millisecond, func(n int) string {
		return fmt.Sprintf(`{"name":"play","timestamp":"2026-03-02T10:00:00Z","context":{"user_id":%d},"data":{"id":"e%d"}}`, user(n), n)
	})
	more := func() {
		from, _ := store.count("a")
		s.until("events flow", func() bool { n, _ := store.count("a"); return n > from+100 })
	}
	more()
	const outages = 3
	for range outages {
		db.Stop()
		s.until("it is shown", func() bool {
			l := srv.Status(t.Context()).Lookups
			return l != nil && l.Error != ""
		})
		assert.Contains(t, get(t, srv, "/readyz"), `"lookups":"`)
		assert.Contains(t, get(t, srv, "/metrics"), "erb_lookup_up 0")
		st := srv.Status(t.Context())
		var text strings.Builder
		require.NoError(t, writeStatus(&text, &st))
		assert.Contains(t, text.String(), "the source of users and courses is down, events wait for it")
		s.until("events wait", func() bool { return srv.Status(t.Context()).Backends[0].Waiting > 50 })
		db.Start()
		more()
		s.until("it is over", func() bool { return srv.Status(t.Context()).Lookups.Error == "" })
	}
	n := published()
	s.until("all arrive", func() bool { got, _ := store.count("a"); return got >= n })
	s.until("all are counted", func() bool { return srv.Status(t.Context()).Backends[0].Accepted == uint64(n) })
	st := srv.Status(t.Context())
	assert.Equal(t, map[string]uint64{"transformed": uint64(n)}, st.Backends[0].Ends, "nothing is rejected")
	got, repeated := store.count("a")
	assert.Equal(t, n, got)
	assert.Zero(t, repeated)
	store.mu.Lock()
	defer store.mu.Unlock()
	for _, a := range store.all {
		var i int
		_, err := fmt.Sscanf(a.ID, "e%d", &i)
		require.NoError(t, err)
		require.Equal(t, mariadb.ExternalID("xapi", user(i)), a.Mapping)
	}
	assert.GreaterOrEqual(t, strings.Count(log.String(), "events wait for a look-up that is down"), outages)
	assert.LessOrEqual(t, strings.Count(log.String(), "events wait for a look-up that is down"), 2*outages, "not for each event")
	assert.NotZero(t, st.Lookups.Users.Questions)
	assert.NotZero(t, st.Lookups.Users.Failures)
	metrics := get(t, srv, "/metrics")
	assert.Contains(t, metrics, "erb_lookup_up 1")
	assert.Contains(t, metrics, `erb_lookups_total{kind="user",result="miss"}`)
	t.Logf("%d events, %+v", n, st.Lookups.Users)
}
