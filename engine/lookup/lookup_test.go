package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup"
)

const (
	adaXAPI = "88f7f59b-d6a5-5717-8234-f297d809dff1"
	demo    = "course-v1:edX+DemoX+Demo_Course"
)

func table(t testing.TB) *lookup.Table {
	t.Helper()
	table, err := lookup.NewTable([]lookup.User{
		{ID: 7, Username: "ada", Email: "ada@example.com", ExternalIDs: map[string]string{"xapi": adaXAPI, "lti": "not a uuid", "own": strings.ToUpper(adaXAPI)}},
		{ID: 1 << 62, Username: "grace"},
		{ID: 12, Username: "7"},
		{ID: 13, Username: "1234"},
		{ID: 14},
		{Username: "-1"},
	}, []lookup.Course{{ID: demo, DisplayName: "Demo"}, {ID: "edX/Old/2012"}})
	require.NoError(t, err)
	return table
}

func TestTable(t *testing.T) {
	src := table(t)
	tests := []struct {
		key    string
		wantID int64
		want   string
	}{
		{"7", 7, "ada"}, {"007", 7, "ada"}, {"ada", 7, "ada"}, {"12", 12, "7"}, {"1234", 13, "1234"}, {"14", 14, ""}, {"-1", 0, "-1"}, {"grace", 1 << 62, "grace"},
	}
	for range 2 { // from the table, then from memory
		for _, tt := range tests {
			u, err := src.User(t.Context(), tt.key)
			require.NoError(t, err, tt.key)
			assert.Equal(t, tt.wantID, u.ID)
			assert.Equal(t, tt.want, u.Username)
		}
		for _, key := range []string{"", "8", "Ada", "999999999999999999999999", "+7", "7.0", "ad", "adaa"} {
			_, err := src.User(t.Context(), key)
			assert.ErrorIs(t, err, lookup.ErrNotFound, key)
		}
	}
	u, err := src.User(t.Context(), "7")
	require.NoError(t, err)
	assert.Equal(t, &lookup.User{ID: 7, Username: "ada", Email: "ada@example.com",
		ExternalIDs: map[string]string{"xapi": adaXAPI, "lti": "not a uuid", "own": strings.ToUpper(adaXAPI)}}, u)
	c, err := src.Course(t.Context(), "edX/Old/2012")
	require.NoError(t, err)
	assert.Equal(t, &lookup.Course{ID: "edX/Old/2012", DisplayName: "edX/Old/2012"}, c)
	users, courses := src.Len()
	assert.Equal(t, []int{6, 2}, []int{users, courses})
}

func TestNewTableErrors(t *testing.T) {
	tests := []struct {
		name    string
		users   []lookup.User
		courses []lookup.Course
		want    error
	}{
		{"same id", []lookup.User{{ID: 1, Username: "a"}, {ID: 2}, {ID: 1, Username: "b"}}, nil, lookup.ErrDuplicate},
		{"same name", []lookup.User{{ID: 1, Username: "a"}, {ID: 2, Username: "a"}}, nil, lookup.ErrDuplicate},
		{"no key", []lookup.User{{Email: "a@example.com"}}, nil, lookup.ErrNoKey},
		{"course without id", nil, []lookup.Course{{DisplayName: "a"}}, lookup.ErrNoKey},
		{"course of no form", nil, []lookup.Course{{ID: "demo"}}, lookup.ErrBadCourseID},
		{"same course", nil, []lookup.Course{{ID: demo}, {ID: demo}}, lookup.ErrDuplicate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := lookup.NewTable(tt.users, tt.courses)
			assert.ErrorIs(t, err, tt.want)
		})
	}
}

func TestValidCourseID(t *testing.T) {
	valid := []string{
		demo, "course-v1:edX+DemoX+2021_T1", "course-v1:Université+数学.1~a+r-1", "course-v1:edX+DemoX+r+branch@draft", "course-v1:a:b+c+d",
		"course-v1:edX+DemoX+r+branch@draft+version@519665f6223ebd6980884f2b", "course-v1:edX+DemoX+r+version@5",
		"ccx-v1:edX+DemoX+Demo_Course+ccx@1", "ccx-v1:edX+DemoX+r+ccx@12+branch@b", "library-v1:edX+lib1", "lib:edX:lib1", "edX/DemoX/Demo_Course",
	}
	for _, id := range valid {
		assert.True(t, lookup.ValidCourseID(id), id)
	}
	invalid := []string{
		"", "None", "True", "-1", "text", "not-a-course", "course-v1:", "course-v1:edX", "course-v1:edX+DemoX", "course-v1:edX+DemoX+", "course-v1:+a+b",
		"course-v1:edX+DemoX+r+", "course-v1:edX+DemoX+r+x", "course-v1:edX+DemoX+r+branch@", "course-v1:edX+DemoX+r+version@1+branch@b", "course-v1:ed X+D+r", "course-v1:e/X+D+r",
		"course-v1:edX+DemoX+r\n", "COURSE-V1:edX+DemoX+r", "ccx-v1:edX+DemoX+r", "ccx-v1:edX+DemoX+r+ccx@", "ccx-v1:edX+DemoX+r+1", "library-v1:edX", "library-v1:edX+a+b", "lib:edX",
		"edX/DemoX", "edX/DemoX/r/x", "/a/b", "a//b", "a/b/", "a+b/c/d", "block-v1:edX+DemoX+r+type@video+block@1", "course-v1:\xff+a+b", "course-v1:a+b+💥",
	}
	for _, id := range invalid {
		assert.False(t, lookup.ValidCourseID(id), id)
	}
}

// failing answers every question with an error.
type failing struct{ err error }

func (f failing) User(context.Context, string) (*lookup.User, error)     { return nil, f.err }
func (f failing) Course(context.Context, string) (*lookup.Course, error) { return nil, f.err }

func TestDirectory(t *testing.T) {
	broken := errors.New("connection refused")
	src := table(t)
	tests := []struct {
		name       string
		src        lookup.Source
		opt        lookup.Options
		user       string
		wantUser   error
		course     string
		wantCourse error
	}{
		{"known", src, lookup.Options{}, "ada", nil, demo, nil},
		{"unknown", src, lookup.Options{}, "bob", lookup.ErrUnknownUser, "a/b/c", lookup.ErrUnknownCourse},
		{"unknown, but let through", src, lookup.Options{UnknownUsers: "pseudonym", UnknownCourses: "course_id"}, "bob", nil, "a/b/c", nil},
		{"no source", nil, lookup.Options{}, "bob", nil, "a/b/c", nil},
		{"no source and no key", nil, lookup.Options{}, "", lookup.ErrUnknownUser, "", lookup.ErrBadCourseID},
		{"no source, reject", nil, lookup.Options{UnknownUsers: "reject", UnknownCourses: "reject"}, "bob", lookup.ErrUnknownUser, demo, lookup.ErrUnknownCourse},
		{"malformed", src, lookup.Options{UnknownCourses: "course_id"}, "ada", nil, "demo", lookup.ErrBadCourseID},
		{"transient", failing{broken}, lookup.Options{UnknownUsers: "pseudonym", UnknownCourses: "course_id"}, "ada", broken, demo, broken},
		{"source has nothing", failing{fmt.Errorf("row: %w", lookup.ErrNotFound)}, lookup.Options{}, "ada", lookup.ErrUnknownUser, demo, lookup.ErrUnknownCourse},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := lookup.NewDirectory(tt.src, tt.opt)
			require.NoError(t, err)
			u, err := d.User(t.Context(), tt.user)
			require.ErrorIs(t, err, tt.wantUser)
			assert.Equal(t, tt.wantUser == nil, u != nil)
			c, err := d.Course(t.Context(), tt.course)
			require.ErrorIs(t, err, tt.wantCourse)
			if tt.wantCourse == nil {
				assert.Equal(t, tt.course, c.ID)
			}
		})
	}
	_, err := lookup.NewDirectory(nil, lookup.Options{UnknownUsers: "allow"})
	require.EqualError(t, err, `unknown_users is "allow": use "reject" or "pseudonym"`)
	_, err = lookup.NewDirectory(nil, lookup.Options{UnknownCourses: "pseudonym"})
	require.EqualError(t, err, `unknown_courses is "pseudonym": use "reject" or "course_id"`)
}

func TestPseudonyms(t *testing.T) {
	user := func(secret, key string) *lookup.User {
		d, err := lookup.NewDirectory(nil, lookup.Options{Secret: []byte(secret)})
		require.NoError(t, err)
		u, err := d.User(t.Context(), key)
		require.NoError(t, err)
		return u
	}
	open := user("", "ada")
	assert.Equal(t, uuid.NewSHA1(lookup.DefaultNamespace, []byte("xapi:ada")).String(), open.ExternalIDs["xapi"])
	assert.Equal(t, "865bf09f-410d-563a-9a0e-0f35cde1dce3", open.ExternalIDs["xapi"], "must never change")
	assert.Equal(t, "8952ad5a-b1fe-507a-9f97-5bacbc684f1f", user("s3cret", "ada").ExternalIDs["xapi"], "must never change")
	assert.Equal(t, "ada", open.Username)
	assert.Equal(t, open, user("", "ada"))
	seen := map[string]bool{}
	for _, u := range []*lookup.User{open, user("s3cret", "ada"), user("other", "ada"), user("s3cret", "bob"), user("s3cret", "7")} {
		assert.Len(t, u.ExternalIDs, 3)
		for kind, id := range u.ExternalIDs {
			assert.False(t, seen[id], kind)
			seen[id] = true
			assert.EqualValues(t, 5, uuid.MustParse(id).Version())
		}
	}
	assert.Equal(t, user("s3cret", "7"), user("s3cret", "007"), "one user, however the id is written")
	assert.EqualValues(t, 7, user("s3cret", "7").ID)
}

func TestDirectoryIsConcurrent(t *testing.T) {
	d, err := lookup.NewDirectory(table(t), lookup.Options{UnknownUsers: lookup.Pseudonym, UnknownCourses: lookup.CourseID})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				key := strconv.Itoa(i % 9_000)
				u, err := d.User(t.Context(), key)
				if !assert.NoError(t, err) || key != "7" && u.Username != "ada" && u.ID != int64(i%9_000) && !assert.Equal(t, key, u.Username) {
					return
				}
				if c, err := d.Course(t.Context(), "course-v1:a+b+"+key); !assert.NoError(t, err) || !assert.Contains(t, c.DisplayName, key) {
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestDirectoryAllocates(t *testing.T) {
	for name, src := range map[string]lookup.Source{"table": table(t), "none": nil} {
		d, err := lookup.NewDirectory(src, lookup.Options{})
		require.NoError(t, err)
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := d.User(t.Context(), "ada"); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Course(t.Context(), demo); err != nil {
				t.Fatal(err)
			}
		})
		assert.Zero(t, allocs, name)
	}
}

// The key may be a view of an event's bytes, which change afterwards.
func TestDirectoryKeepsItsOwnKey(t *testing.T) {
	d, err := lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(t, err)
	before, err := d.User(t.Context(), strings.Clone("ada"))
	require.NoError(t, err)
	after, err := d.User(t.Context(), "ada")
	require.NoError(t, err)
	assert.Same(t, before, after)
}

func BenchmarkTable(b *testing.B) {
	users := make([]lookup.User, 200_000)
	for i := range users {
		n := strconv.Itoa(i + 1)
		users[i] = lookup.User{ID: int64(i + 1), Username: "learner" + n, Email: "learner" + n + "@example.com", ExternalIDs: map[string]string{
			"xapi": uuid.NewSHA1(uuid.NameSpaceOID, []byte("x"+n)).String(), "caliper": uuid.NewSHA1(uuid.NameSpaceOID, []byte("c"+n)).String(), "lti": uuid.NewSHA1(uuid.NameSpaceOID, []byte("l"+n)).String(),
		}}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	src, err := lookup.NewTable(users, nil)
	require.NoError(b, err)
	runtime.GC()
	runtime.ReadMemStats(&after)
	perUser := float64(after.HeapAlloc-before.HeapAlloc) / float64(len(users))
	keys := make([]string, 4096)
	for i := range keys {
		keys[i] = "learner" + strconv.Itoa(i*17+1)
	}
	for name, n := range map[string]int{"one": 1, "many": len(keys)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := src.User(b.Context(), keys[i%n]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(perUser, "B/user")
		})
	}
	runtime.KeepAlive(users)
}
