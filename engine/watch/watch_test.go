package watch

import (
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const wait = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a folder with what is usually watched.
type site struct {
	t   *testing.T
	dir string
}

func newSite(t *testing.T) *site {
	s := &site{t, t.TempDir()}
	s.write("erbd.yaml", "a")
	s.write("mappings/xapi/video.yaml", "a")
	s.write("mappings/xapi/forum.yaml", "a")
	s.write("other.txt", "a")
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *site) write(name, text string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(text), 0o600))
}

func (s *site) rename(from, to string) {
	s.t.Helper()
	require.NoError(s.t, os.Rename(s.path(from), s.path(to)))
}

func (s *site) link(target, name string) {
	s.t.Helper()
	require.NoError(s.t, os.Symlink(target, s.path(name)))
}

func (s *site) remove(name string) {
	s.t.Helper()
	require.NoError(s.t, os.RemoveAll(s.path(name)))
}

// start watches paths of the site; the channel gets what look returns at each call.
func start[T any](s *site, opt Options, look func() T, paths ...string) <-chan T {
	for i, p := range paths {
		paths[i] = s.path(p)
	}
	calls := make(chan T, 10_000)
	w := Start(paths, opt, func() { calls <- look() })
	s.t.Cleanup(w.Close)
	return calls
}

// until waits for a call that has seen what is wanted.
func until[T comparable](t *testing.T, calls <-chan T, want T) {
	t.Helper()
	timeout := time.After(wait)
	for {
		select {
		case got := <-calls:
			if got == want {
				return
			}
		case <-timeout:
			require.Fail(t, "no call saw the change")
		}
	}
}

func (s *site) read(name string) func() string {
	return func() string {
		b, _ := os.ReadFile(s.path(name))
		return string(b)
	}
}

var quick = Options{Quiet: 10 * time.Millisecond, Rescan: time.Hour} // only events help

func TestEdits(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(s *site)
		file  string
		want  string
		paths []string
	}{
		{"in place", func(s *site) { s.write("erbd.yaml", "b") }, "erbd.yaml", "b", nil},
		{"renamed over", func(s *site) { s.write("erbd.yaml~", "b"); s.rename("erbd.yaml~", "erbd.yaml") }, "erbd.yaml", "b", nil},
		{"removed", func(s *site) { s.remove("erbd.yaml") }, "erbd.yaml", "", nil},
		{"removed and made anew", func(s *site) { s.remove("erbd.yaml"); s.write("erbd.yaml", "b") }, "erbd.yaml", "b", nil},
		{"in a folder", func(s *site) { s.write("mappings/xapi/video.yaml", "b") }, "mappings/xapi/video.yaml", "b", nil},
		{"new in a folder", func(s *site) { s.write("mappings/xapi/new.yaml", "b") }, "mappings/xapi/new.yaml", "b", nil},
		{"new folder", func(s *site) { s.write("mappings/caliper/deep/new.yaml", "b") }, "mappings/caliper/deep/new.yaml", "b", nil},
		{"removed from a folder", func(s *site) { s.remove("mappings/xapi/video.yaml") }, "mappings/xapi/video.yaml", "", nil},
		{"folder removed", func(s *site) { s.remove("mappings") }, "mappings/xapi/video.yaml", "", nil},
		{"folder moved away", func(s *site) { s.rename("mappings", "old") }, "mappings/xapi/video.yaml", "", nil},
		{"folder replaced", func(s *site) {
			s.write("next/xapi/video.yaml", "b")
			s.rename("mappings", "old")
			s.rename("next", "mappings")
		}, "mappings/xapi/video.yaml", "b", nil},
		{"file that was not there", func(s *site) { s.write("routers.yaml", "b") }, "routers.yaml", "b", []string{"routers.yaml"}},
		{"folder that was not there", func(s *site) { s.write("a/b/c/x.yaml", "b") }, "a/b/c/x.yaml", "b", []string{"a/b/c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			if tt.paths == nil {
				tt.paths = []string{"erbd.yaml", "mappings"}
			}
			calls := start(s, quick, s.read(tt.file), tt.paths...)
			tt.edit(s)
			until(t, calls, tt.want)
		})
	}
}

// After each change the next one is seen as well.
func TestEditsInARow(t *testing.T) {
	s := newSite(t)
	calls := start(s, quick, s.read("mappings/xapi/video.yaml"), "erbd.yaml", "mappings")
	for i := range 20 {
		text := strconv.Itoa(i)
		switch i % 5 {
		case 0:
			s.write("mappings/xapi/video.yaml", text)
		case 1:
			s.write("mappings/xapi/.video.yaml.tmp", text)
			s.rename("mappings/xapi/.video.yaml.tmp", "mappings/xapi/video.yaml")
		case 2:
			s.remove("mappings")
			s.write("mappings/xapi/video.yaml", text)
		case 3:
			s.write("next/xapi/video.yaml", text)
			s.rename("mappings", "old"+text)
			s.rename("next", "mappings")
		case 4:
			s.remove("mappings/xapi")
			until(t, calls, "")
			s.write("mappings/xapi/video.yaml", text)
		}
		until(t, calls, text)
	}
}

// A volume of Kubernetes: files are links into ..data, which is a link itself.
func TestConfigMap(t *testing.T) {
	s := newSite(t)
	version := func(n, text string) {
		s.write("volume/..2026_"+n+"/erbd.yaml", text)
		s.write("volume/..2026_"+n+"/video.yaml", text)
	}
	version("1", "one")
	s.link("..2026_1", "volume/..data")
	s.link("..data/erbd.yaml", "volume/erbd.yaml")
	s.link("..data/video.yaml", "volume/video.yaml")
	read := s.read("volume/erbd.yaml")
	file := start(s, quick, read, "volume/erbd.yaml")
	folder := start(s, quick, read, "volume")
	for i, text := range []string{"two", "new", "one"} {
		n := strconv.Itoa(i + 2)
		version(n, text)
		s.link("..2026_"+n, "volume/..data_tmp")
		s.rename("volume/..data_tmp", "volume/..data")
		s.remove("volume/..2026_" + strconv.Itoa(i+1))
		until(t, file, text)
		until(t, folder, text)
	}
}

// Links anywhere in a path: to a release, and to a file elsewhere.
func TestLinks(t *testing.T) {
	s := newSite(t)
	s.write("releases/1/erbd.yaml", "one")
	s.write("releases/2/erbd.yaml", "two")
	s.link("releases/1", "current")
	s.write("elsewhere/video.yaml", "a")
	s.link("../../elsewhere/video.yaml", "mappings/xapi/linked.yaml")
	s.link("loop2", "loop1")
	s.link("loop1", "loop2")
	read := func() string { return s.read("current/erbd.yaml")() + s.read("mappings/xapi/linked.yaml")() }
	calls := start(s, quick, read, "current/erbd.yaml", "mappings", "loop1/x")
	s.link("releases/2", "next")
	s.rename("next", "current")
	until(t, calls, "twoa")
	s.write("releases/2/erbd.yaml", "2") // in place, behind the link
	until(t, calls, "2a")
	s.write("elsewhere/video.yaml", "b")
	until(t, calls, "2b")

	linked := start(s, quick, s.read("releases/2/new.yaml"), "current") // a linked folder
	s.write("releases/2/new.yaml", "c")
	until(t, linked, "c")
}

// Without events a rescan finds what changed.
func TestPoll(t *testing.T) {
	s := newSite(t)
	calls := start(s, Options{Poll: true, Quiet: time.Millisecond, Rescan: 5 * time.Millisecond}, s.read("mappings/xapi/video.yaml"), "mappings")
	s.write("mappings/xapi/video.yaml", "longer")
	until(t, calls, "longer")
	s.remove("mappings")
	until(t, calls, "")
	s.write("mappings/xapi/video.yaml", "again")
	until(t, calls, "again")
}

// Many writes are few calls, and the last call sees the last write.
func TestBurst(t *testing.T) {
	s := newSite(t)
	calls := start(s, Options{Quiet: 200 * time.Millisecond, Rescan: time.Hour}, s.read("erbd.yaml"), "erbd.yaml", "mappings")
	began := time.Now()
	for i := range 500 {
		s.write("mappings/xapi/video.yaml", strconv.Itoa(i))
		s.write("erbd.yaml", strconv.Itoa(i))
	}
	s.write("erbd.yaml", "end")
	took := time.Since(began)
	n := 1
	for got := range calls {
		if got == "end" {
			break
		}
		n++
	}
	assert.LessOrEqual(t, n, 2+int(took/(200*time.Millisecond)), "at most one call in each quiet time")
}

// Files that do not count cause no call, nor do looks at them.
func TestUnrelated(t *testing.T) {
	s := newSite(t)
	calls := start(s, quick, s.read("erbd.yaml"), "erbd.yaml", "mappings")
	for range 10 {
		s.write("other.txt", "b")
		s.write("data/stream.blk", "b")
		s.write("mappings/xapi/.video.yaml.swp", "b")
		s.write("mappings/xapi/4913", "b")
		s.write("mappings/.git/index", "b")
		require.NoError(t, os.Chmod(s.path("erbd.yaml"), 0o644))
		_ = s.read("erbd.yaml")()
		time.Sleep(5 * time.Millisecond)
	}
	s.write("erbd.yaml", "b")
	select {
	case got := <-calls:
		assert.Equal(t, "b", got, "the first call")
	case <-time.After(wait):
		require.Fail(t, "no call")
	}
}

func TestIgnored(t *testing.T) {
	for _, name := range []string{".git", ".video.yaml.swp", "video.yaml~", "#video.yaml#", "4913", "x.tmp", "x.swp", "x.swx", "x.bak", "..data", "..2026_1"} {
		assert.True(t, ignored(name), name)
	}
	for _, name := range []string{"video.yaml", "users.csv", "erbd.yaml", "a.b.c", "x"} {
		assert.False(t, ignored(name), name)
	}
}

func TestWatchOthers(t *testing.T) {
	s := newSite(t)
	var calls atomic.Int64
	w := Start([]string{s.path("erbd.yaml"), ""}, quick, func() { calls.Add(1) })
	w.Watch([]string{s.path("mappings")})
	assert.Zero(t, calls.Load())
	s.write("mappings/xapi/video.yaml", "b")
	require.Eventually(t, func() bool { return calls.Load() > 0 }, wait, time.Millisecond)
	w.Watch([]string{s.path("other.txt")})
	before := calls.Load()
	s.write("other.txt", "b")
	require.Eventually(t, func() bool { return calls.Load() > before }, wait, time.Millisecond)
	w.Close()
	w.Close()
	w.Watch(nil) // no effect, no hang
}

// Close waits for a call that is under way; a change during a call is another call.
func TestSlowCall(t *testing.T) {
	s := newSite(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	w := Start([]string{s.path("erbd.yaml")}, quick, func() {
		entered <- struct{}{}
		<-leave
	})
	s.write("erbd.yaml", "b")
	<-entered
	s.write("erbd.yaml", "c")
	leave <- struct{}{}
	<-entered
	closed := make(chan struct{})
	go func() {
		w.Close()
		close(closed)
	}()
	select {
	case <-closed:
		assert.Fail(t, "closed during a call")
	case <-time.After(20 * time.Millisecond):
	}
	leave <- struct{}{}
	<-closed
}
