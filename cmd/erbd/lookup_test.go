package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/lookup/mysql/mariadb"
	"github.com/erbd/erbd/engine/stream"
)

const playVideo = `{"name":"play_video","timestamp":"2025-11-06T05:32:14.807952+00:00","context":{"course_id":"course-v1:edX+DemoX+Demo_Course","user_id":USER},"data":{"id":"v1","currentTime":1.5,"duration":195}}` + "\n"

// eventsOf writes one event of each user, named by a JSON value, to a file.
func eventsOf(t *testing.T, users ...string) string {
	t.Helper()
	var text strings.Builder
	for _, user := range users {
		text.WriteString(strings.ReplaceAll(playVideo, "USER", user))
	}
	path := filepath.Join(t.TempDir(), "events.log")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

func TestLookupInNATS(t *testing.T) {
	server, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Relaxed: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	url := "--nats.url=" + server.URL()
	events := eventsOf(t, "7", `"ada"`, "8")
	file := filepath.Join(t.TempDir(), "lms.json")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }

	code, _, stderr := erbd(t.Context(), nil, "transform", "--lookup.type=nats", url, events)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Equal(t, "erbd: error: no bucket of look-ups: erb_users does not exist: fill it with erbd lookup load\nhint: \"erbd lookup load FILE\" makes and fills the buckets\n", stderr)

	write(`{"users":[{"id":7,"username":"ada","external_ids":{"xapi":"88f7f59b-d6a5-5717-8234-f297d809dff1"}}],"courses":[{"id":"course-v1:edX+DemoX+Demo_Course","display_name":"Demo"}]}`)
	code, stdout, stderr := erbd(t.Context(), nil, "lookup", "load", url, file)
	assert.Equal(t, cli.ExitFine, code, stderr)
	assert.Equal(t, "loaded 1 users and 1 courses: 3 records written, 0 unchanged, 0 deleted\n", stdout)
	code, stdout, stderr = erbd(t.Context(), nil, "lookup", "load", url, "--output", "json", file)
	assert.Equal(t, cli.ExitFine, code, stderr)
	assert.JSONEq(t, `{"users":1,"courses":1,"written":0,"unchanged":3,"deleted":0}`, stdout)

	code, stdout, stderr = erbd(t.Context(), nil, "transform", "--lookup.type=nats", url, "--summary=none", events)
	assert.Equal(t, cli.ExitFailure, code, "user 8 is rejected")
	assert.Contains(t, stderr, "erbd: error: of 3 lines, 1 were rejected and 0 invalid")
	assert.Equal(t, 2, strings.Count(stdout, `"name":"88f7f59b-d6a5-5717-8234-f297d809dff1"`))
	assert.Contains(t, stdout, `{"en-US":"Demo"}`)

	code, stdout, _ = erbd(t.Context(), nil, "lookup", "user", "--lookup.type=nats", url, "ada")
	assert.Equal(t, cli.ExitFine, code)
	assert.Equal(t, `{"id":7,"username":"ada","external_ids":{"xapi":"88f7f59b-d6a5-5717-8234-f297d809dff1"}}`+"\n", stdout)
	code, stdout, _ = erbd(t.Context(), nil, "lookup", "course", "--lookup.type=nats", url, "course-v1:edX+DemoX+Demo_Course")
	assert.Equal(t, cli.ExitFine, code)
	assert.Equal(t, `{"id":"course-v1:edX+DemoX+Demo_Course","display_name":"Demo"}`+"\n", stdout)
	code, _, stderr = erbd(t.Context(), nil, "lookup", "user", "--lookup.type=nats", url, "nobody")
	assert.Equal(t, cli.ExitFailure, code)
	assert.Equal(t, "erbd: error: unknown user\n", stderr)

	write(`{"users":[{"id":8,"username":"bob","external_ids":{"xapi":"x8"}}]}`)
	code, stdout, stderr = erbd(t.Context(), nil, "lookup", "load", url, "--prune", file)
	assert.Equal(t, cli.ExitFine, code, stderr)
	assert.Equal(t, "loaded 1 users and 0 courses: 2 records written, 0 unchanged, 3 deleted\n", stdout)
	write(`{"users":[]}`)
	code, _, stderr = erbd(t.Context(), nil, "lookup", "load", url, "--prune", file)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stderr, "holds nobody, so --prune would delete all")
	write(`{"users":[{}]}`)
	code, _, stderr = erbd(t.Context(), nil, "lookup", "load", url, file)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stderr, "erbd: error: 1 fault in the look-up file\n")
}

func TestLookupInMySQL(t *testing.T) {
	db, ok := mariadb.New(t)
	if !ok {
		return
	}
	events := eventsOf(t, "7", `"josé"`, "11", "12", "77")
	t.Setenv("LMS_DB", db.DSN())
	mysql := func(more ...string) []string {
		return append([]string{"transform", "--set", "lookup.type=mysql", "--set", "lookup.dsn=${env:LMS_DB}", "--outcomes", "--summary=none"}, more...)
	}
	code, stdout, stderr := erbd(t.Context(), nil, mysql("--workers=1", events)...)
	assert.Equal(t, cli.ExitFailure, code, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 5)
	assert.Contains(t, lines[0], `"name":"`+mariadb.ExternalID("xapi", 7)+`"`)
	assert.Contains(t, lines[0], `{"en-US":"Données & Démonstration"}`)
	assert.Contains(t, lines[1], `"name":"`+mariadb.ExternalID("xapi", 8)+`"`)
	assert.Contains(t, lines[2], `"name":"`+mariadb.ExternalID("xapi", 11)+`"`, "a retired user is kept")
	assert.Contains(t, lines[3], `"reason":"the user has no external id of type \"xapi\""`)
	assert.Contains(t, lines[4], `"reason":"the user is unknown"`)

	code, stdout, stderr = erbd(t.Context(), nil, mysql("--lookup.unknown_users=pseudonym", "--lookup.retired_users=pseudonym", "--lookup.secret=${env:LMS_DB}", events)...)
	assert.Equal(t, cli.ExitFine, code, stderr)
	assert.NotContains(t, stdout, mariadb.ExternalID("xapi", 11), "a retired user is parted from the past")
	assert.Equal(t, 5, strings.Count(stdout, `"outcome":"transformed"`))
	code, stdout, _ = erbd(t.Context(), nil, mysql("--lookup.retired_users=reject", events)...)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Equal(t, 3, strings.Count(stdout, `"outcome":"rejected"`))

	code, stdout, _ = erbd(t.Context(), nil, "lookup", "user", "--lookup.type=mysql", "--lookup.dsn=${env:LMS_DB}", "7")
	assert.Equal(t, cli.ExitFine, code)
	assert.Contains(t, stdout, `{"id":7,"username":"ada","email":"ada@example.com","external_ids":{"caliper":"`)

	t.Setenv("LMS_DB", strings.Replace(db.DSN(), "s3cret", "wrong", 1))
	code, _, stderr = erbd(t.Context(), nil, mysql(events)...)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stderr, "erbd: error: the data base cannot be read as that of an lms: mysql error 1045: ")
	assert.Contains(t, stderr, "hint: the account needs SELECT on auth_user, ")
	assert.NotContains(t, stderr, "wrong")
	t.Setenv("LMS_DB", "nonsense")
	code, _, stderr = erbd(t.Context(), nil, mysql(events)...)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Equal(t, "erbd: error: unusable mysql settings: lookup.dsn cannot be read: write it as user:password@tcp(host:3306)/database\n", stderr)
}

func TestAnonymousUsers(t *testing.T) {
	events := eventsOf(t, "null", `""`)
	code, _, stderr := erbd(t.Context(), nil, "transform", events)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stderr, "the event names no user")
	code, stdout, stderr := erbd(t.Context(), nil, "transform", "--lookup.anonymous_users=pseudonym", "--summary=none", events)
	assert.Equal(t, cli.ExitFine, code, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 2)
	assert.Equal(t, lines[0], lines[1], "they are one")
}

// A data base that goes away in the middle of a long run is waited for.
func TestTransformWaitsForMySQL(t *testing.T) {
	db, ok := mariadb.New(t)
	if !ok {
		return
	}
	t.Setenv("LMS_DB", db.DSN())
	in, feed := net.Pipe()
	var code int
	var stdout, stderr string
	var wg sync.WaitGroup
	wg.Go(func() {
		code, stdout, stderr = erbd(context.Background(), in, "transform", "--lookup.type=mysql", "--lookup.dsn=${env:LMS_DB}", "--workers=1", "--summary=none", "-")
	})
	send := func(user string) {
		_, err := feed.Write([]byte(strings.ReplaceAll(playVideo, "USER", user)))
		require.NoError(t, err)
	}
	before := db.Selects()
	send("7")
	require.Eventually(t, func() bool { return db.Selects() > before }, time.Minute, time.Millisecond) // it was checked
	db.Stop()
	send("8")
	require.NoError(t, feed.Close())
	time.Sleep(500 * time.Millisecond) // so that look-ups fail first, mostly
	db.Start()
	wg.Wait()
	assert.Equal(t, cli.ExitFine, code, stderr)
	assert.Contains(t, stdout, mariadb.ExternalID("xapi", 7))
	assert.Contains(t, stdout, mariadb.ExternalID("xapi", 8))
}
