package lookup_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/lookup"
)

// backend knows the users user1 to user999, also by their ids, takes a while to
// answer, and notes what it is asked.
type backend struct {
	delay time.Duration

	mu    sync.Mutex
	asked [][]string
	err   error
}

func (b *backend) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *backend) questions() [][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.asked
	b.asked = nil
	return q
}

var errBadRow = errors.New("bad row")

func (b *backend) Users(ctx context.Context, keys []string) (map[string]lookup.Answer[lookup.User], error) {
	b.mu.Lock()
	b.asked = append(b.asked, keys)
	err := b.err
	b.mu.Unlock()
	select {
	case <-time.After(b.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	answers := map[string]lookup.Answer[lookup.User]{}
	for _, key := range keys {
		if key == "bad" {
			answers[key] = lookup.Answer[lookup.User]{Err: errBadRow}
			continue
		}
		id, err := strconv.ParseInt(strings.TrimPrefix(key, "user"), 10, 64)
		if err != nil || id < 1 || id > 999 {
			continue
		}
		u := &lookup.User{ID: id, Username: "user" + strconv.FormatInt(id, 10)}
		answers[u.Username] = lookup.Answer[lookup.User]{Value: u}
		answers[strconv.FormatInt(id, 10)] = lookup.Answer[lookup.User]{Value: u}
	}
	return answers, nil
}

func (b *backend) Courses(ctx context.Context, ids []string) (map[string]lookup.Answer[lookup.Course], error) {
	if _, err := b.Users(ctx, ids); err != nil {
		return nil, err
	}
	answers := map[string]lookup.Answer[lookup.Course]{}
	for _, id := range ids {
		if strings.HasPrefix(id, "course-v1:") {
			answers[id] = lookup.Answer[lookup.Course]{Value: &lookup.Course{ID: id, DisplayName: "called " + id}}
		}
	}
	return answers, nil
}

func newCache(t *testing.T, b *backend, opt lookup.CacheOptions) *lookup.Cache {
	c := lookup.NewCache(b, opt)
	t.Cleanup(c.Close)
	return c
}

func TestCacheTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		c := newCache(t, b, lookup.CacheOptions{TTL: time.Minute, NegativeTTL: 10 * time.Second})
		look := func(key string, known bool) {
			t.Helper()
			u, err := c.User(t.Context(), key)
			if !known {
				require.ErrorIs(t, err, lookup.ErrNotFound)
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, 7, u.ID)
		}
		look("7", true)
		look("user7", true) // the answer for 7 named it
		look("nobody", false)
		look("nobody", false)
		assert.Equal(t, [][]string{{"7"}, {"nobody"}}, b.questions())
		time.Sleep(9 * time.Second)
		look("nobody", false)
		assert.Empty(t, b.questions())
		time.Sleep(2 * time.Second)
		look("7", true)
		look("nobody", false)
		assert.Equal(t, [][]string{{"nobody"}}, b.questions())
		time.Sleep(50 * time.Second)
		look("user7", true)
		look("7", true)
		assert.Equal(t, [][]string{{"user7"}}, b.questions())

		look("", false)
		look(strings.Repeat("7", 600), false)
		assert.Empty(t, b.questions())

		for range 2 {
			course, err := c.Course(t.Context(), demo)
			require.NoError(t, err)
			assert.Equal(t, "called "+demo, course.DisplayName)
			_, err = c.Course(t.Context(), "a/b/c")
			require.ErrorIs(t, err, lookup.ErrNotFound)
		}
		assert.Len(t, b.questions(), 2)
		users, courses := c.Stats()
		assert.Equal(t, lookup.CacheStats{Hits: 5, Unknown: 2, Misses: 4, Questions: 4, Keys: 4, Entries: 3}, users)
		assert.Equal(t, lookup.CacheStats{Hits: 2, Unknown: 1, Misses: 2, Questions: 2, Keys: 2, Entries: 2}, courses)
	})
}

func TestCacheJoinsMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: time.Second}
		c := newCache(t, b, lookup.CacheOptions{BatchSize: 100})
		var wg sync.WaitGroup
		look := func(key string) {
			wg.Go(func() {
				u, err := c.User(t.Context(), key)
				if assert.NoError(t, err) {
					assert.Equal(t, strings.TrimPrefix(key, "user"), strconv.FormatInt(u.ID, 10))
				}
			})
		}
		look("1")
		synctest.Wait() // the question about 1 is under way
		for i := range 250 {
			for range 3 {
				look(strconv.Itoa(i + 1))
			}
		}
		look("user1") // answered by the question about 1
		wg.Wait()
		var sizes []int
		asked := map[string]int{}
		for _, keys := range b.questions() {
			sizes = append(sizes, len(keys))
			for _, key := range keys {
				asked[key]++
			}
		}
		assert.Equal(t, []int{1, 100, 100, 49}, sizes)
		for key, n := range asked {
			assert.Equal(t, 1, n, key)
		}
		users, _ := c.Stats()
		assert.EqualValues(t, 752, users.Misses)
		assert.EqualValues(t, 501, users.Joined)
		assert.Zero(t, users.Waiting)
	})
}

func TestCacheFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		var health []error
		b := &backend{err: down}
		c := newCache(t, b, lookup.CacheOptions{Timeout: time.Second, Health: func(err error) { health = append(health, err) }})
		for range 3 {
			_, err := c.User(t.Context(), "7")
			require.ErrorIs(t, err, down)
			require.EqualError(t, err, "users: connection refused")
			require.NotErrorIs(t, err, lookup.ErrNotFound)
		}
		require.ErrorIs(t, c.Err(), down)
		b.set(nil)
		_, err := c.User(t.Context(), "7")
		require.NoError(t, err)
		require.NoError(t, c.Err())
		assert.Len(t, b.questions(), 4)
		b.set(down)
		_, err = c.User(t.Context(), "7")
		require.NoError(t, err, "kept")

		b.set(nil)
		b.delay = time.Minute // a question that hangs
		_, err = c.Course(t.Context(), demo)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "courses: no answer within 1s: context deadline exceeded")
		b.delay = 0
		_, err = c.Course(t.Context(), demo)
		require.NoError(t, err)
		require.Len(t, health, 4, "one message for each change")
		for i, err := range health {
			assert.Equal(t, i%2 == 0, err != nil)
		}

		// A fault of one key is that key's alone.
		_, err = c.User(t.Context(), "bad")
		require.ErrorIs(t, err, errBadRow)
		require.NoError(t, c.Err())
		_, err = c.User(t.Context(), "bad")
		require.ErrorIs(t, err, errBadRow)
		users, _ := c.Stats()
		assert.EqualValues(t, 3, users.Failures)
	})
}

// Who gives up does not take the answer from others.
func TestCacheCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: time.Second}
		c := newCache(t, b, lookup.CacheOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.User(ctx, "7")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		wg.Go(func() {
			_, err := c.User(t.Context(), "7")
			assert.NoError(t, err)
		})
		wg.Wait()
		assert.Len(t, b.questions(), 1)
		_, err := c.User(ctx, "8")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, b.questions(), "nobody waits for it")
		_, err = c.User(ctx, "7")
		require.NoError(t, err, "it is there")
	})
}

func TestCacheForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		c := newCache(t, b, lookup.CacheOptions{})
		look := func(key string) { _, _ = c.User(t.Context(), key) }
		look("7")
		look("nobody")
		look("8")
		c.ForgetUser("7")
		c.ForgetUser("nobody")
		c.ForgetCourse(demo)
		b.questions()
		for _, key := range []string{"7", "nobody", "8"} {
			look(key)
		}
		assert.Equal(t, [][]string{{"7"}, {"nobody"}}, b.questions())
		c.Forget()
		look("8")
		assert.Equal(t, [][]string{{"8"}}, b.questions())

		// What is forgotten while it is asked for is answered, but not kept.
		b.delay = time.Second
		for _, forget := range []func(){func() { c.ForgetUser("9") }, c.Forget} {
			var wg sync.WaitGroup
			wg.Go(func() { look("9") })
			synctest.Wait()
			forget()
			wg.Wait()
			b.questions()
			look("9")
			assert.Equal(t, [][]string{{"9"}}, b.questions())
			c.ForgetUser("9")
		}
	})
}

func TestCacheSize(t *testing.T) {
	for _, size := range []int{1, 3, 5000} {
		b := &backend{}
		c := newCache(t, b, lookup.CacheOptions{Size: size})
		for i := range 3 * size {
			_, _ = c.Course(t.Context(), "course-v1:a+b+"+strconv.Itoa(i))
			_, err := c.Course(t.Context(), "course-v1:a+b+0") // used all the time: it stays
			require.NoError(t, err)
		}
		_, courses := c.Stats()
		assert.LessOrEqual(t, courses.Entries, size+15)
		if size > 1 {
			assert.EqualValues(t, 3*size, courses.Keys)
			assert.EqualValues(t, 3*size, courses.Hits)
		}
	}
}

func TestCacheClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := &backend{delay: time.Hour}
	var health []error
	c := lookup.NewCache(b, lookup.CacheOptions{Timeout: time.Hour, Health: func(err error) { health = append(health, err) }})
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			_, err := c.User(t.Context(), strconv.Itoa(i+1))
			assert.ErrorIs(t, err, lookup.ErrClosed)
		})
	}
	require.Eventually(t, func() bool { users, _ := c.Stats(); return users.Waiting == 10 }, 10*time.Second, time.Millisecond)
	c.Close()
	c.Close()
	wg.Wait()
	_, err := c.User(t.Context(), "7")
	require.ErrorIs(t, err, lookup.ErrClosed)
	assert.Empty(t, health)
}

func TestCacheIsConcurrent(t *testing.T) {
	b := &backend{}
	c := newCache(t, b, lookup.CacheOptions{Size: 100, TTL: time.Millisecond})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 3000 {
				n := (i*7+w)%300 + 1
				u, err := c.User(t.Context(), strconv.Itoa(n))
				if !assert.NoError(t, err) || !assert.EqualValues(t, n, u.ID) {
					return
				}
				if i%10 == 0 {
					c.ForgetUser(strconv.Itoa(n))
				}
				if i%1000 == 0 {
					c.Forget()
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCache(b *testing.B) {
	c := lookup.NewCache(&backend{}, lookup.CacheOptions{})
	defer c.Close()
	keys := make([]string, 900)
	for i := range keys {
		keys[i] = strconv.Itoa(i + 1)
		if _, err := c.User(b.Context(), keys[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := c.User(b.Context(), keys[i%len(keys)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
