package mysql_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/lookup/mysql"
	"github.com/erbd/erbd/engine/lookup/mysql/mariadb"
)

// A server that stops and comes back under load makes look-ups fail for the
// time being; nobody becomes unknown by it.
func TestRestartUnderLoad(t *testing.T) {
	db, ok := mariadb.New(t)
	if !ok {
		return
	}
	before := goleak.IgnoreCurrent()
	src, err := mysql.Open(mysql.Config{DSN: db.DSN(), Timeout: time.Second})
	require.NoError(t, err)
	var downs, ups atomic.Int64
	cache := lookup.NewCache(src, lookup.CacheOptions{
		TTL: 20 * time.Millisecond, Timeout: time.Second, // short, so that the server is asked all the time
		Health: func(err error) {
			if err != nil {
				downs.Add(1)
			} else {
				ups.Add(1)
			}
		},
	})
	directory, err := lookup.NewDirectory(cache, lookup.Options{})
	require.NoError(t, err)

	var found, failed, wrong atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := 100 + i*37%2000
				key := strconv.Itoa(id)
				if i%2 == 0 {
					key = "learner" + key
				}
				u, err := directory.User(t.Context(), key)
				switch {
				case err == nil && u.ID == int64(id):
					found.Add(1)
				case err == nil, errors.Is(err, lookup.ErrUnknownUser), errors.Is(err, lookup.ErrNotFound):
					wrong.Add(1)
				default:
					failed.Add(1)
				}
				if c, err := directory.Course(t.Context(), demo); err == nil && c.DisplayName != "Données & Démonstration" || errors.Is(err, lookup.ErrUnknownCourse) {
					wrong.Add(1)
				}
			}
		})
	}
	grows := func(n *atomic.Int64) {
		t.Helper()
		from := n.Load()
		require.Eventually(t, func() bool { return n.Load() > from+100 }, time.Minute, time.Millisecond)
	}
	for range 3 {
		grows(&found)
		db.Stop()
		grows(&failed)
		assert.Error(t, cache.Err())
		db.Start()
		grows(&found)
	}
	close(stop)
	wg.Wait()
	assert.Zero(t, wrong.Load())
	assert.GreaterOrEqual(t, downs.Load(), int64(3))
	assert.InDelta(t, downs.Load(), ups.Load(), 1)
	users, courses := cache.Stats()
	t.Logf("found %d, failed %d; users: %+v; courses: %+v", found.Load(), failed.Load(), users, courses)

	cache.Close()
	require.NoError(t, src.Close())
	db.Stop()
	goleak.VerifyNone(t, before)
}

// Within the time that answers are kept, the data base is asked once for each
// user, by whatever keys and however many goroutines it is looked up.
func TestAskedOnce(t *testing.T) {
	db, ok := mariadb.New(t)
	if !ok {
		return
	}
	src := open(t, mysql.Config{DSN: db.DSN()})
	require.NoError(t, src.Check(t.Context()))
	cache := lookup.NewCache(src, lookup.CacheOptions{TTL: time.Hour, NegativeTTL: time.Hour})
	defer cache.Close()
	before := db.Selects()
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 4000 {
				key := strconv.Itoa(100 + (i*7+w*125)%2000)
				if i%2 == 1 {
					key = "learner" + key
				}
				_, err := cache.User(t.Context(), key)
				assert.NoError(t, err)
				_, err = cache.User(t.Context(), "nobody"+strconv.Itoa(i%10))
				assert.ErrorIs(t, err, lookup.ErrNotFound)
			}
		})
	}
	wg.Wait()
	users, _ := cache.Stats()
	asked := db.Selects() - before
	t.Logf("%d look-ups of 2000 users and 10 strangers: %d questions with %d keys, %d SELECTs", users.Hits+users.Misses, users.Questions, users.Keys, asked)
	assert.LessOrEqual(t, users.Keys, uint64(2000*2+10), "a user may be asked for by id and by name in one question")
	assert.LessOrEqual(t, asked, 2*int(users.Questions), "one by id, one by name")
	assert.Less(t, users.Questions, uint64(1500), "keys are asked for together")
	assert.Zero(t, users.Failures)

	for i := 100; i < 2100; i++ { // all that follow are hits, by id and by name
		for _, key := range []string{strconv.Itoa(i), "learner" + strconv.Itoa(i)} {
			u, err := cache.User(t.Context(), key)
			require.NoError(t, err)
			require.EqualValues(t, i, u.ID)
		}
	}
	assert.Equal(t, asked, db.Selects()-before)
}
