package source_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/lookup/kv"
	"github.com/erbd/erbd/engine/lookup/mysql"
	"github.com/erbd/erbd/engine/lookup/mysql/mariadb"
	"github.com/erbd/erbd/engine/lookup/source"
	"github.com/erbd/erbd/engine/stream"
)

func settings(t *testing.T, set ...string) *config.Settings {
	t.Helper()
	var assignments []config.Assignment
	for _, arg := range set {
		a, err := config.ParseAssignment(arg, "--set")
		require.NoError(t, err)
		assignments = append(assignments, a)
	}
	s, faults := config.Load(config.Sources{Set: assignments})
	require.NoError(t, faults.Err())
	return s
}

func env(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := pairs[name]; return v, ok }
}

// A source in NATS can be made before there is a server, and before there are
// buckets: look-ups fail for the time being, and work once they are there.
func TestNATSThatComesLater(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	dir := t.TempDir()
	var server *stream.Embedded
	src, err := source.New(settings(t, "lookup.type=nats"), source.Options{Connect: func(*config.Settings) (*nats.Conn, error) {
		if server == nil {
			return nil, nats.ErrNoServers
		}
		return server.Connect("look-ups")
	}})
	require.NoError(t, err)
	_, err = src.User(t.Context(), "7")
	require.ErrorIs(t, err, nats.ErrNoServers)
	require.NotErrorIs(t, err, lookup.ErrNotFound)
	require.ErrorIs(t, src.Err(), nats.ErrNoServers)
	users, _ := src.Stats()
	assert.Zero(t, users)

	server, err = stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: dir, Relaxed: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	require.Eventually(t, func() bool {
		_, err := src.User(t.Context(), "7")
		return assert.Error(t, err) && assert.NotErrorIs(t, err, lookup.ErrNotFound) && assert.ErrorIs(t, src.Check(t.Context()), err) && src.Err() != nats.ErrNoServers
	}, time.Minute, 10*time.Millisecond)
	require.ErrorIs(t, src.Err(), kv.ErrNoBucket)

	nc, err := server.Connect("load")
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	table, err := lookup.NewTable([]lookup.User{{ID: 7, Username: "ada"}}, nil)
	require.NoError(t, err)
	_, err = kv.Load(t.Context(), js, table, kv.LoadOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		u, err := src.User(t.Context(), "ada")
		return err == nil && u.ID == 7
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, src.Check(t.Context()))
	_, err = src.Course(t.Context(), "a/b/c")
	require.ErrorIs(t, err, lookup.ErrNotFound)
	users, courses := src.Stats()
	assert.EqualValues(t, 1, users.Keys)
	assert.EqualValues(t, 1, courses.Keys)

	require.NoError(t, src.Close())
	require.NoError(t, src.Close())
	_, err = src.User(t.Context(), "ada")
	require.ErrorIs(t, err, lookup.ErrClosed)
}

func TestNewErrors(t *testing.T) {
	options := source.Options{LookupEnv: env(nil)}
	_, err := source.New(settings(t, "lookup.type=mysql", "lookup.dsn=${env:NOPE}"), options)
	require.ErrorIs(t, err, config.ErrSecretMissing)
	_, err = source.New(settings(t, "lookup.type=mysql", "lookup.dsn=nonsense"), options)
	require.ErrorIs(t, err, mysql.ErrConfig)
	_, err = source.New(settings(t), options)
	require.EqualError(t, err, "lookup.type none is on no server")
}

func TestKeeper(t *testing.T) {
	before := goleak.IgnoreCurrent()
	vars := map[string]string{"DSN": "u:p@tcp(127.0.0.1:1)/edxapp"}
	k := &source.Keeper{Options: source.Options{LookupEnv: env(vars)}}
	assert.Nil(t, k.Current())
	get := func(set ...string) *source.Source {
		t.Helper()
		src, err := k.Get(settings(t, append([]string{"lookup.type=mysql", "lookup.dsn=${env:DSN}"}, set...)...))
		require.NoError(t, err)
		return src
	}
	first := get()
	assert.Same(t, first, k.Current())
	for _, other := range [][]string{
		{"lookup.unknown_users=pseudonym", "lookup.unknown_courses=course_id", "lookup.secret=${env:KEY}", "lookup.retired_users=reject"},
		{"xapi.enabled=false"}, {"nats.url=nats://elsewhere:4222"}, {"lookup.path=x"},
	} {
		assert.Same(t, first, get(other...), "%v: these are no settings of the source", other)
	}
	second := get("lookup.cache_size=5")
	assert.NotSame(t, first, second)
	vars["DSN"] = "u:new@tcp(127.0.0.1:1)/edxapp"
	third := get("lookup.cache_size=5")
	assert.NotSame(t, second, third, "the secret has changed")
	_, err := first.User(t.Context(), "7")
	require.Error(t, err)
	require.NotErrorIs(t, err, lookup.ErrClosed, "events may still use it")

	delete(vars, "DSN")
	_, err = k.Get(settings(t, "lookup.type=mysql", "lookup.dsn=${env:DSN}"))
	require.ErrorIs(t, err, config.ErrSecretMissing)
	assert.Same(t, third, k.Current(), "a fault changes nothing")

	require.NoError(t, k.Release(nil, time.Hour), "not yet")
	require.NoError(t, k.Release(second, 0))
	_, err = first.User(t.Context(), "7")
	require.ErrorIs(t, err, lookup.ErrClosed)
	for _, src := range []*source.Source{second, third} { // in force, and named
		_, err = src.User(t.Context(), "7")
		require.NotErrorIs(t, err, lookup.ErrClosed)
	}

	require.NoError(t, k.Close())
	require.NoError(t, k.Close())
	for _, src := range []*source.Source{first, second, third} {
		_, err := src.User(t.Context(), "7")
		require.ErrorIs(t, err, lookup.ErrClosed)
	}
	goleak.VerifyNone(t, before)
}

func TestMySQL(t *testing.T) {
	db, ok := mariadb.New(t)
	if !ok {
		return
	}
	k := &source.Keeper{Options: source.Options{LookupEnv: env(map[string]string{"DSN": db.DSN()})}}
	defer k.Close()
	src, err := k.Get(settings(t, "lookup.type=mysql", "lookup.dsn=${env:DSN}"))
	require.NoError(t, err)
	require.NoError(t, src.Check(t.Context()))
	u, err := src.User(t.Context(), "7")
	require.NoError(t, err)
	assert.Equal(t, mariadb.ExternalID("xapi", 7), u.ExternalIDs["xapi"])
	require.NoError(t, src.Err())
	db.Stop()
	_, err = src.User(t.Context(), "8")
	require.Error(t, err)
	require.NotErrorIs(t, err, lookup.ErrNotFound)
	require.Error(t, src.Err())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.Error(t, src.Check(ctx))
	_, err = src.User(t.Context(), "7")
	require.NoError(t, err, "kept")
}
