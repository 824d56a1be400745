package failed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func jet(t *testing.T, payload int32) jetstream.JetStream {
	t.Helper()
	ns, err := server.NewServer(&server.Options{JetStream: true, StoreDir: t.TempDir(), DontListen: true, NoSigs: true, MaxPayload: payload})
	require.NoError(t, err)
	ns.Start()
	require.True(t, ns.ReadyForConnections(30*time.Second))
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func open(t *testing.T, js jetstream.JetStream, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), js, o)
	require.NoError(t, err)
	return s
}

var day = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func record(router, id string) *Record {
	return &Record{
		Backend: "xapi", Router: router, ID: id, Name: "edx.course.enrollment.activated",
		Statements: []Statement{{ID: id, JSON: json.RawMessage(`{"id":"` + id + `"}`)}}, Event: json.RawMessage(`{"name":"x"}`),
		Attempts: 4, Status: 503, Reason: "http_503", Answer: "busy", First: day, Last: day.Add(time.Hour),
	}
}

func ids(t *testing.T, s *Store, f Filter) []string {
	t.Helper()
	var out []string
	require.NoError(t, s.Each(t.Context(), f, func(e *Entry) error {
		out = append(out, e.Record.ID)
		return nil
	}))
	return out
}

func TestPutGetEach(t *testing.T) {
	s := open(t, jet(t, 0), Options{})
	ctx := t.Context()
	a := record("lrs", "urn:uuid:1/ä b")
	require.NoError(t, s.Put(ctx, a))
	again := record("lrs", "urn:uuid:1/ä b")
	again.Attempts = 99
	require.NoError(t, s.Put(ctx, again), "putting again is harmless")
	e, err := s.Get(ctx, a.Key().String())
	require.NoError(t, err)
	want := *a
	want.Version = 1
	assert.Equal(t, want, e.Record)

	b := record("other", "b")
	b.Name = "x"
	b.Last = day.Add(24 * time.Hour)
	require.NoError(t, s.Put(ctx, b))
	assert.ElementsMatch(t, []string{a.ID, "b"}, ids(t, s, Filter{}))
	assert.Equal(t, []string{"b"}, ids(t, s, Filter{Router: "other"}))
	assert.Equal(t, []string{"b"}, ids(t, s, Filter{Name: "x"}))
	assert.Equal(t, []string{a.ID}, ids(t, s, Filter{Before: b.Last}))
	assert.Equal(t, []string{"b"}, ids(t, s, Filter{Since: b.Last}))
	assert.Empty(t, ids(t, s, Filter{Backend: "caliper"}))

	stop := errors.New("stop")
	assert.ErrorIs(t, s.Each(ctx, Filter{}, func(*Entry) error { return stop }), stop)
	for _, key := range []string{"a.b.c.d", "nonsense", "", " ", "xapi.>"} {
		_, err = s.Get(ctx, key)
		assert.ErrorIs(t, err, ErrNotFound, key)
	}
	n, used, limit, err := s.Usage(ctx)
	require.NoError(t, err)
	assert.EqualValues(t, 2, n)
	assert.Positive(t, used)
	assert.EqualValues(t, DefaultMaxBytes, limit)
}

func TestOpen(t *testing.T) {
	js := jet(t, 0)
	ctx := t.Context()
	_, err := Attach(ctx, js)
	assert.ErrorIs(t, err, ErrNotFound)
	require.NoError(t, open(t, js, Options{}).Put(ctx, record("lrs", "a")))
	s := open(t, js, Options{MaxBytes: 1 << 20})
	assert.Len(t, ids(t, s, Filter{}), 1, "another size keeps what is there")
	s, err = Attach(ctx, js)
	require.NoError(t, err)
	assert.Len(t, ids(t, s, Filter{}), 1)

	for _, cfg := range []jetstream.KeyValueConfig{{TTL: time.Hour}, {Storage: jetstream.MemoryStorage}} {
		js := jet(t, 0)
		cfg.Bucket = Bucket
		_, err := js.CreateKeyValue(ctx, cfg)
		require.NoError(t, err)
		_, err = Open(ctx, js, Options{})
		assert.ErrorIs(t, err, ErrIncompatible)
	}
}

func TestFullBucketCanStillBeEmptied(t *testing.T) {
	s := open(t, jet(t, 0), Options{MaxBytes: 20_000})
	ctx := t.Context()
	var kept []*Record
	var err error
	for i := 0; err == nil; i++ {
		r := record("lrs", fmt.Sprint(i))
		r.Event = json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)
		if err = s.Put(ctx, r); err == nil {
			kept = append(kept, r)
		}
	}
	assert.ErrorIs(t, err, ErrFull)
	assert.Greater(t, len(kept), 5)
	assert.NoError(t, s.Put(ctx, kept[0]), "what is there already needs no room")
	done, err := s.Replay(ctx, kept[0].Key().String(), 0, func(context.Context, *Record) (Attempt, error) { return Attempt{Delivered: true}, nil })
	require.NoError(t, err)
	assert.True(t, done)
	n, err := s.Purge(ctx, Filter{})
	require.NoError(t, err)
	assert.Equal(t, len(kept)-1, n)
	assert.Empty(t, ids(t, s, Filter{}))
	assert.NoError(t, s.Put(ctx, record("lrs", "new")))
	assert.NoError(t, s.Put(ctx, kept[0]), "a removed record can come back")
}

func TestLargeRecord(t *testing.T) {
	s := open(t, jet(t, 8192), Options{})
	r := record("lrs", "a")
	r.Event = json.RawMessage(`"` + strings.Repeat("x", 9000) + `"`)
	require.NoError(t, s.Put(t.Context(), r))
	e, err := s.Get(t.Context(), r.Key().String())
	require.NoError(t, err)
	assert.Nil(t, e.Record.Event, "kept without the event")
	assert.NotNil(t, r.Event, "the caller's record is untouched")
	r = record("lrs", "b")
	r.Statements[0].JSON = json.RawMessage(`"` + strings.Repeat("x", 9000) + `"`)
	assert.ErrorIs(t, s.Put(t.Context(), r), ErrTooLarge)
}

func TestReplay(t *testing.T) {
	s := open(t, jet(t, 0), Options{})
	ctx := t.Context()
	r := record("lrs", "a")
	require.NoError(t, s.Put(ctx, r))
	key := r.Key().String()

	done, err := s.Replay(ctx, key, 0, func(ctx context.Context, r *Record) (Attempt, error) {
		_, err := s.Replay(ctx, key, 0, func(context.Context, *Record) (Attempt, error) {
			t.Error("a leased record is not sent")
			return Attempt{}, nil
		})
		assert.ErrorIs(t, err, ErrLeased)
		n, err := s.Purge(ctx, Filter{})
		assert.NoError(t, err)
		assert.Zero(t, n, "a leased record is not purged")
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
		return Attempt{Status: 400, Reason: "http_400", Answer: "no", Left: r.Statements[:1]}, nil
	})
	require.NoError(t, err)
	assert.False(t, done)
	e, err := s.Get(ctx, key)
	require.NoError(t, err)
	assert.Equal(t, 5, e.Record.Attempts)
	assert.Equal(t, "http_400", e.Record.Reason)
	assert.True(t, e.Record.Lease.IsZero())
	assert.Equal(t, day, e.Record.First)
	assert.True(t, e.Record.Last.After(day))

	boom := errors.New("boom")
	_, err = s.Replay(ctx, key, 0, func(context.Context, *Record) (Attempt, error) { return Attempt{}, boom })
	assert.ErrorIs(t, err, boom)
	e, err = s.Get(ctx, key)
	require.NoError(t, err)
	assert.Equal(t, 5, e.Record.Attempts)
	assert.True(t, e.Record.Lease.IsZero())

	// Told to stop after the delivery, it still removes the record.
	stopping, cancel := context.WithCancel(ctx)
	done, err = s.Replay(stopping, key, 0, func(context.Context, *Record) (Attempt, error) {
		cancel()
		return Attempt{Delivered: true}, nil
	})
	require.NoError(t, err)
	assert.True(t, done)
	_, err = s.Replay(ctx, key, 0, nil)
	assert.ErrorIs(t, err, ErrNotFound)
}

// What somebody else puts into the bucket holds up nothing.
func TestForeignRecordsHoldUpNothing(t *testing.T) {
	ctx := t.Context()
	s := open(t, jet(t, 0), Options{})
	for _, id := range []string{"a", "b"} {
		require.NoError(t, s.Put(ctx, record("lrs", id)))
	}
	foreign := map[string]string{
		"x": "no key of ours", "xapi.lrs.2026-01-01.a": "garbage \x00\xff", "xapi.lrs.2026-01-02.b": "", "xapi.lrs.2026-01-03.c": `{"version":99}`,
		"xapi.lrs.2026-01-04.d": "[]", "a.b.c.d": `{"version":1}`,
	}
	for key, value := range foreign {
		_, err := s.kv.Put(ctx, key, []byte(value))
		require.NoError(t, err)
	}
	n := 0
	err := s.Each(ctx, Filter{}, func(e *Entry) error { n++; return nil })
	require.ErrorIs(t, err, ErrRecord)
	require.ErrorContains(t, err, "and 4 more")
	require.Equal(t, 2, n)
	_, err = s.Replay(ctx, "xapi.lrs.2026-01-01.a", 0, nil)
	require.ErrorIs(t, err, ErrRecord)

	// A filter for what is in a record chooses nothing that is none.
	removed, err := s.Purge(ctx, Filter{Name: "no such event"})
	require.ErrorIs(t, err, ErrRecord)
	require.Zero(t, removed)
	removed, err = s.Purge(ctx, Filter{})
	require.NoError(t, err)
	require.Equal(t, 7, removed)
	require.Empty(t, ids(t, s, Filter{}))
}

func TestReplayTwiceAtOnceSendsOnce(t *testing.T) {
	js := jet(t, 0)
	ctx := t.Context()
	s := open(t, js, Options{})
	const n = 20
	for i := range n {
		require.NoError(t, s.Put(ctx, record("lrs", fmt.Sprint(i))))
	}
	var sent atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			err := s.Each(ctx, Filter{}, func(e *Entry) error {
				_, err := s.Replay(ctx, e.Key, 0, func(context.Context, *Record) (Attempt, error) {
					sent.Add(1)
					return Attempt{Delivered: true}, nil
				})
				if errors.Is(err, ErrLeased) || errors.Is(err, ErrNotFound) {
					return nil
				}
				return err
			})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.EqualValues(t, n, sent.Load())
	assert.Empty(t, ids(t, s, Filter{}))
}

func TestExpiredLeaseIsTaken(t *testing.T) {
	s := open(t, jet(t, 0), Options{})
	ctx := t.Context()
	r := record("lrs", "a")
	r.Lease = time.Now().Add(-time.Second) // its replay died
	require.NoError(t, s.Put(ctx, r))
	done, err := s.Replay(ctx, r.Key().String(), 0, func(context.Context, *Record) (Attempt, error) { return Attempt{Delivered: true}, nil })
	require.NoError(t, err)
	assert.True(t, done)
}

func TestForeignRecords(t *testing.T) {
	js := jet(t, 0)
	ctx := t.Context()
	s := open(t, js, Options{})
	kv, err := js.KeyValue(ctx, Bucket)
	require.NoError(t, err)
	for key, text := range map[string]string{"a.b.2026-01-01.c": "nonsense", "a.b.2026-01-01.d": `{"version":2}`} {
		_, err := kv.PutString(ctx, key, text)
		require.NoError(t, err)
		_, err = s.Get(ctx, key)
		assert.ErrorIs(t, err, ErrRecord)
	}
}

func TestKey(t *testing.T) {
	k := Key{Backend: "xapi", Router: "l.r s", Date: day, ID: "http://x/ä?=.*>"}
	assert.Equal(t, "xapi.l=2Er=20s.2026-03-04.http=3A=2F=2Fx=2F=C3=A4=3F=3D=2E=2A=3E", k.String())
	got, err := ParseKey(k.String())
	require.NoError(t, err)
	k.Date = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, k, got)
	empty := Key{Date: k.Date}
	got, err = ParseKey(empty.String())
	require.NoError(t, err)
	assert.Equal(t, empty, got)
	for _, bad := range []string{"", "a.b.c", "a.b.2026-01-01", "a.b.2026-13-01.c", "a.b.2026-01-01.", "a.b.2026-01-01.=2", "a.b.2026-01-01.=2g", "a b.b.2026-01-01.c", "a.b.2026-01-01.c.d"} {
		_, err := ParseKey(bad)
		assert.ErrorIs(t, err, ErrKey, bad)
	}
}

func FuzzKey(f *testing.F) {
	f.Add("xapi", "lrs", "http://x/1")
	f.Fuzz(func(t *testing.T, backend, router, id string) {
		k := Key{Backend: backend, Router: router, Date: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), ID: id}
		got, err := ParseKey(k.String())
		require.NoError(t, err)
		assert.Equal(t, k, got)
	})
}
