//go:build unix

// Package torture runs the real erbd, as processes of their own, under faults that are real as well: killed and stopped
// processes, record stores that cut, stall and lie, servers of a cluster that vanish. At the end it asks where each
// acknowledged event is. It has no part in the product.
//
// "go test" runs a short ledger; "make torture" runs all of it. What happens is drawn from a seed, which is printed.
package torture

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	full   = flag.Bool("torture", false, "run everything, not just the short ledger")
	seed   = flag.Uint64("seed", 0, "what the faults are drawn from; 0: another one each time")
	length = flag.Duration("length", time.Minute, "how long each part goes on")
)

func TestMain(m *testing.M) {
	if text := os.Getenv(serverVariable); text != "" {
		os.Exit(serveNATS(text))
	}
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	dir, err := os.MkdirTemp("", "erbd-torture-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
	program.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		code = 1
	}
	report.print(os.Stdout)
	os.Exit(code)
}

// program is the erbd under test.
var program struct {
	dir  string
	once sync.Once
	path string
	err  error
}

// binary builds erbd, once.
func binary(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		program.path = filepath.Join(program.dir, "erbd")
		args := []string{"run", "-exec", "cp"} // unlike "build" it links only what has changed
		if raceDetector {
			args = append(args, "-race")
		}
		out, err := exec.Command("go", append(args, "github.com/erbd/erbd/cmd/erbd", program.path)...).CombinedOutput()
		if err != nil {
			program.err = fmt.Errorf("build erbd: %w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

// dice draws what happens. It is safe for concurrent use.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

// newDice returns dice of their own for a part of a test.
func newDice(part string) *dice {
	h := fnv.New64a()
	h.Write([]byte(part)) //nolint:errcheck // a hash takes everything
	return &dice{rng: rand.New(rand.NewPCG(*seed, h.Sum64()))}
}

func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64() < p
}

// n returns a number from 0 to n-1.
func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// between returns a time from low to high.
func (d *dice) between(low, high time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return low + time.Duration(d.rng.Int64N(int64(high-low)+1))
}

// one returns one of a list.
func one[T any](d *dice, list []T) T { return list[d.n(len(list))] }
