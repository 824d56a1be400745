package torture

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// vitals are what a process takes: its memory, that part of its heap that is in use, in bytes, and so on.
type vitals struct{ rss, heap, goroutines, files, store int }

// TestSoak keeps a daemon under a steady load with reloads and pauses. What it takes of the machine stays as it is, and
// what it has delivered leaves the disk.
func TestSoak(t *testing.T) {
	if !*full {
		t.Skip("it takes minutes: make torture runs it")
	}
	const part = "soak: steady load, reloads, pauses"
	s := newSite(t, part)
	d := newDaemon(t, "erbd", settings, s.yaml())
	d.start()
	p := newPublisher(t, "nats://"+d.nats, part)
	stop := p.flow(4, 15)
	draw := newDice(part)
	reloads, outages := 0, 0
	round := func() {
		s.hostility(10)
		d.write(t, "routers.yaml", strings.ReplaceAll(s.yaml(), "size: 20", fmt.Sprintf("size: %d", 20+draw.n(10))))
		resp, err := client.Post("http://"+d.http+"/-/reload", "", nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		reloads++
		if draw.chance(0.3) {
			r := s.routes[draw.n(3)]
			r.down()
			time.Sleep(draw.between(0, time.Second))
			r.up()
			outages++
		}
		time.Sleep(time.Second)
	}
	var seen []vitals
	for end := time.Now().Add(2 * *length); time.Now().Before(end); {
		round()
		seen = append(seen, d.vitals(t))
	}
	// The first quarter warms up; the second is compared with the last.
	quarter := len(seen) / 4
	require.Positive(t, quarter, "the soak is too short")
	early, late := middle(seen[quarter:2*quarter]), middle(seen[len(seen)-quarter:])
	flat := func(early, late vitals) {
		t.Helper()
		assert.Less(t, late.rss, early.rss+early.rss/4+32<<20, "memory grows")
		assert.Less(t, late.heap, early.heap+early.heap/4+16<<20, "the heap grows")
		assert.Less(t, late.goroutines, early.goroutines+30, "goroutines are left")
		assert.Less(t, late.files, early.files+20, "files are left open")
	}
	flat(early, late)

	// A backlog, and its end.
	s.hostility(0)
	for _, r := range s.routes {
		r.down()
	}
	time.Sleep(max(10*time.Second, *length/2))
	full := d.vitals(t)
	for _, r := range s.routes {
		r.up()
	}
	stop()
	d.drained()
	var empty vitals
	assert.Eventually(t, func() bool {
		empty = d.vitals(t)
		return empty.store < full.store/2
	}, patience, time.Second, "the store does not shrink: %+v", &full)

	flat(early, empty)
	report.add(part, "reloads, outages", fmt.Sprintf("%d, %d", reloads, outages))
	for _, v := range []struct {
		name string
		vitals
	}{{"second quarter", early}, {"last quarter", late}, {"with a backlog", full}, {"at the end", empty}} {
		report.add(part, v.name, fmt.Sprintf("memory %d MB, heap %d MB, goroutines %d, files %d, store %.1f MB",
			v.rss>>20, v.heap>>20, v.goroutines, v.files, float64(v.store)/(1<<20)))
	}
	s.verify(d, p.events())
	d.end(syscall.SIGTERM)
}

// vitals looks at the daemon's process.
func (d *daemon) vitals(t *testing.T) (v vitals) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid()))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			require.NoError(t, err)
			v.rss = n << 10
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.pid()))
	require.NoError(t, err)
	v.files = len(files)
	resp, err := client.Get("http://" + d.http + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	require.NoError(t, err)
	for line := range strings.Lines(b.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_goroutines":
			v.goroutines = int(n)
		case "go_memstats_next_gc_bytes": // twice of what was in use after the last collection
			v.heap = int(n) / 2
		}
	}
	require.Positive(t, v.goroutines)
	require.NoError(t, filepath.WalkDir(filepath.Join(d.dir, "data"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				v.store += int(info.Size())
			}
		}
		return nil // what vanished meanwhile takes no room
	}))
	return v
}

// middle is the median of each.
func middle(all []vitals) (m vitals) {
	median := func(of func(v vitals) int) int {
		sorted := slices.SortedFunc(slices.Values(all), func(a, b vitals) int { return cmp.Compare(of(a), of(b)) })
		return of(sorted[len(sorted)/2])
	}
	return vitals{
		rss: median(func(v vitals) int { return v.rss }), heap: median(func(v vitals) int { return v.heap }),
		goroutines: median(func(v vitals) int { return v.goroutines }), files: median(func(v vitals) int { return v.files }),
		store: median(func(v vitals) int { return v.store }),
	}
}
