package kv_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/lookup/kv"
)

const (
	demo = "course-v1:edX+DemoX+Demo_Course"
	wait = 30 * time.Second
)

func startServer(t *testing.T, opt *server.Options) *server.Server {
	t.Helper()
	opt.JetStream, opt.NoSigs, opt.NoLog = true, true, true
	ns, err := server.NewServer(opt)
	require.NoError(t, err)
	ns.Start()
	require.True(t, ns.ReadyForConnections(wait))
	return ns
}

func stopServer(ns *server.Server) {
	ns.Shutdown()
	ns.WaitForShutdown()
}

// connect starts a server of its own and connects.
func connect(t *testing.T) jetstream.JetStream {
	t.Helper()
	ns := startServer(t, &server.Options{StoreDir: t.TempDir(), DontListen: true})
	t.Cleanup(func() { stopServer(ns) })
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func bucket(t *testing.T, js jetstream.JetStream, name string) jetstream.KeyValue {
	t.Helper()
	b, err := js.KeyValue(t.Context(), name)
	require.NoError(t, err)
	return b
}

func put(t *testing.T, b jetstream.KeyValue, key, value string) {
	t.Helper()
	_, err := b.PutString(t.Context(), key, value)
	require.NoError(t, err)
}

func table(t *testing.T, users ...lookup.User) *lookup.Table {
	t.Helper()
	table, err := lookup.NewTable(users, []lookup.Course{{ID: demo, DisplayName: "Démo"}})
	require.NoError(t, err)
	return table
}

var (
	ada  = lookup.User{ID: 7, Username: "ada", Email: "ada@example.com", ExternalIDs: map[string]string{"xapi": "88f7f59b-d6a5-5717-8234-f297d809dff1"}}
	jose = lookup.User{ID: 8, Username: "josé.π", ExternalIDs: map[string]string{}}
	year = lookup.User{ID: 9, Username: "1984", ExternalIDs: map[string]string{}}
)

func TestKeys(t *testing.T) {
	assert.Equal(t, []string{"id.7", "name.ada"}, kv.UserKeys(&ada))
	assert.Equal(t, []string{"id.8", "name.jos=C3=A9=2E=CF=80"}, kv.UserKeys(&jose))
	assert.Equal(t, []string{"name.x"}, kv.UserKeys(&lookup.User{Username: "x"}))
	assert.Equal(t, "course-v1=3AedX=2BDemoX=2BDemo_Course", kv.CourseKey(demo))
}

// Every text makes a key that a bucket takes, and none is another's.
func FuzzKeys(f *testing.F) {
	f.Add("ada", "Ada")
	f.Add(demo, "a=3A")
	f.Add(".", "=2E")
	valid := regexp.MustCompile(`^[-/_=.a-zA-Z0-9]+$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" {
			return
		}
		key := kv.NameKey(a)
		require.Regexp(t, valid, key)
		require.False(t, strings.HasSuffix(key, "."))
		require.Equal(t, a == b, key == kv.NameKey(b))
		back, ok := kv.UserOf(key)
		require.True(t, ok)
		require.Equal(t, a, back)
		_, _ = kv.UserOf(a)
	})
}

func TestLoadAndLookUp(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	js := connect(t)
	_, err := kv.Open(t.Context(), js, kv.Buckets{}, lookup.CacheOptions{})
	require.ErrorIs(t, err, kv.ErrNoBucket)
	require.EqualError(t, err, "no bucket of look-ups: erb_users does not exist: fill it with erbd lookup load")

	var progress atomic.Int64
	n, err := kv.Load(t.Context(), js, table(t, ada, jose, year), kv.LoadOptions{Progress: &progress})
	require.NoError(t, err)
	assert.Equal(t, kv.Loaded{Written: 7}, n)
	assert.EqualValues(t, 7, progress.Load())

	src, err := kv.Open(t.Context(), js, kv.Buckets{}, lookup.CacheOptions{TTL: time.Hour, NegativeTTL: time.Hour})
	require.NoError(t, err)
	defer src.Close()
	for key, want := range map[string]lookup.User{"7": ada, "007": ada, "ada": ada, "8": jose, "josé.π": jose, "9": year, "1984": year} {
		u, err := src.User(t.Context(), key)
		require.NoError(t, err, key)
		assert.Equal(t, &want, withIDs(u), key)
	}
	for _, key := range []string{"Ada", "10", "*", ">", "ada.", ".", " ", "josé", "id.7", "\xff"} {
		_, err := src.User(t.Context(), key)
		require.ErrorIs(t, err, lookup.ErrNotFound, key)
	}
	c, err := src.Course(t.Context(), demo)
	require.NoError(t, err)
	assert.Equal(t, &lookup.Course{ID: demo, DisplayName: "Démo"}, c)
	_, err = src.Course(t.Context(), "a/b/c")
	require.ErrorIs(t, err, lookup.ErrNotFound)

	// What changes is seen, though answers are kept for an hour.
	_, err = src.User(t.Context(), "grace")
	require.ErrorIs(t, err, lookup.ErrNotFound)
	renamed := ada
	renamed.Username = "lovelace"
	n, err = kv.Load(t.Context(), js, table(t, renamed, jose, lookup.User{ID: 11, Username: "grace"}), kv.LoadOptions{Prune: true})
	require.NoError(t, err)
	assert.Equal(t, kv.Loaded{Written: 4, Unchanged: 3, Deleted: 3}, n)
	eventually(t, func() bool { u, err := src.User(t.Context(), "grace"); return err == nil && u.ID == 11 })
	eventually(t, func() bool { u, err := src.User(t.Context(), "7"); return err == nil && u.Username == "lovelace" })
	eventually(t, func() bool { _, err := src.User(t.Context(), "ada"); return err != nil })
	eventually(t, func() bool { _, err := src.User(t.Context(), "1984"); return err != nil })
	_, err = src.User(t.Context(), "ada")
	require.ErrorIs(t, err, lookup.ErrNotFound)

	n, err = kv.Load(t.Context(), js, table(t, ada), kv.LoadOptions{})
	require.NoError(t, err)
	assert.Equal(t, kv.Loaded{Written: 2, Unchanged: 1}, n, "without prune the others stay")
	put(t, bucket(t, js, kv.DefaultCourses), kv.CourseKey("a/b/c"), `{"display_name": "A"}`)
	eventually(t, func() bool {
		c, err := src.Course(t.Context(), "a/b/c")
		return err == nil && c.ID == "a/b/c" && c.DisplayName == "A"
	})
}

func withIDs(u *lookup.User) *lookup.User {
	if u.ExternalIDs == nil {
		c := *u
		c.ExternalIDs = map[string]string{}
		return &c
	}
	return u
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, wait, time.Millisecond)
}

// A record that nobody can read fails its own key, until it is put right.
func TestUnreadableRecords(t *testing.T) {
	js := connect(t)
	names := kv.Buckets{Users: "u", Courses: "c"}
	require.NoError(t, names.Ensure(t.Context(), js))
	require.NoError(t, names.Ensure(t.Context(), js))
	users, courses := bucket(t, js, "u"), bucket(t, js, "c")
	put(t, users, "id.7", `{"id": 8}`)
	put(t, users, "name.ada", `{"username": "bob"}`)
	put(t, users, "name.secretname", `secretvalue`)
	put(t, users, "id.1", `{"external_ids": {"xapi": "x"}}`)
	put(t, courses, kv.CourseKey(demo), `{"id": "a/b/c"}`)
	put(t, courses, kv.CourseKey("a/b/c"), `[]`)
	src, err := kv.Open(t.Context(), js, names, lookup.CacheOptions{})
	require.NoError(t, err)
	defer src.Close()
	for _, key := range []string{"7", "ada", "secretname"} {
		_, err := src.User(t.Context(), key)
		require.ErrorIs(t, err, kv.ErrRecord, key)
		require.NotErrorIs(t, err, lookup.ErrNotFound)
		assert.NotContains(t, err.Error(), "secret")
	}
	for _, id := range []string{demo, "a/b/c"} {
		_, err := src.Course(t.Context(), id)
		require.ErrorIs(t, err, kv.ErrRecord, id)
	}
	u, err := src.User(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, &lookup.User{ID: 1, ExternalIDs: map[string]string{"xapi": "x"}}, u)
	require.NoError(t, src.Err(), "the buckets are there")
	put(t, users, "id.7", `{"id": 7}`)
	u, err = src.User(t.Context(), "7")
	require.NoError(t, err)
	assert.EqualValues(t, 7, u.ID)

	// A bucket that is gone is down, not empty.
	require.NoError(t, js.DeleteKeyValue(t.Context(), "u"))
	_, err = src.User(t.Context(), "2")
	require.Error(t, err)
	require.NotErrorIs(t, err, lookup.ErrNotFound)
}

// A server that goes away and comes back: look-ups fail meanwhile, and what
// changed behind the back is seen afterwards.
func TestRestart(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	opt := &server.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: server.RANDOM_PORT}
	ns := startServer(t, opt)
	nc, err := nats.Connect(ns.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = kv.Load(t.Context(), js, table(t, ada), kv.LoadOptions{})
	require.NoError(t, err)
	src, err := kv.Open(t.Context(), js, kv.Buckets{}, lookup.CacheOptions{TTL: time.Hour, NegativeTTL: time.Hour, Timeout: 200 * time.Millisecond})
	require.NoError(t, err)
	defer src.Close()
	for key, want := range map[string]error{"7": nil, "grace": lookup.ErrNotFound} {
		_, err := src.User(t.Context(), key)
		require.ErrorIs(t, err, want)
	}
	port := ns.Addr().String()
	stopServer(ns)
	_, err = src.User(t.Context(), "8")
	require.Error(t, err)
	require.NotErrorIs(t, err, lookup.ErrNotFound)
	require.Error(t, src.Err())
	_, err = src.User(t.Context(), "7")
	require.NoError(t, err, "kept")

	// While the source's connection is away, another process writes.
	again := *opt
	again.DontListen = true
	ns = startServer(t, &again)
	inside, err := nats.Connect("", nats.InProcessServer(ns))
	require.NoError(t, err)
	insideJS, err := jetstream.New(inside)
	require.NoError(t, err)
	_, err = kv.Load(t.Context(), insideJS, table(t, lookup.User{ID: 11, Username: "grace"}), kv.LoadOptions{})
	require.NoError(t, err)
	inside.Close()
	stopServer(ns)
	_, portText, _ := strings.Cut(port, ":")
	opt.Port, err = strconv.Atoi(portText)
	require.NoError(t, err)
	ns = startServer(t, opt)
	defer stopServer(ns)
	eventually(t, func() bool { u, err := src.User(t.Context(), "grace"); return err == nil && u.ID == 11 })
	require.NoError(t, src.Err())

	// The new watch works as well.
	put(t, bucket(t, js, kv.DefaultUsers), "name.new", `{"id": 12}`)
	_, err = src.User(t.Context(), "other")
	require.ErrorIs(t, err, lookup.ErrNotFound)
	put(t, bucket(t, js, kv.DefaultUsers), "name.other", `{"id": 13}`)
	eventually(t, func() bool { _, err := src.User(t.Context(), "other"); return err == nil })
}

// A connection that is closed for good leaves no goroutine that spins or hangs.
func TestClosedConnection(t *testing.T) {
	js := connect(t)
	require.NoError(t, kv.Buckets{}.Ensure(t.Context(), js))
	src, err := kv.Open(t.Context(), js, kv.Buckets{}, lookup.CacheOptions{})
	require.NoError(t, err)
	js.Conn().Close()
	_, err = src.User(t.Context(), "7")
	require.Error(t, err)
	require.NotErrorIs(t, err, lookup.ErrNotFound)
	src.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = kv.Load(ctx, js, table(t), kv.LoadOptions{})
	require.Error(t, err)
}

func BenchmarkLoad(b *testing.B) {
	ns, err := server.NewServer(&server.Options{StoreDir: b.TempDir(), DontListen: true, JetStream: true, NoSigs: true})
	require.NoError(b, err)
	ns.Start()
	defer stopServer(ns)
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	require.NoError(b, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	users := make([]lookup.User, b.N)
	for i := range users {
		users[i] = lookup.User{ID: int64(i + 1), Username: fmt.Sprint("learner", i), Email: fmt.Sprint("learner", i, "@example.com"), ExternalIDs: ada.ExternalIDs}
	}
	table, err := lookup.NewTable(users, nil)
	require.NoError(b, err)
	b.ResetTimer()
	n, err := kv.Load(b.Context(), js, table, kv.LoadOptions{})
	require.NoError(b, err)
	require.Equal(b, 2*b.N, n.Written)
}
