// Command bench compares the engine with hand-written Go and with general tools, in one run, and prints ratios.
// Absolute times depend on the machine; ratios taken within a round hold.
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

const settings = `{"lms":{"root_url":"` + root + `"},"transformer_version":"` + version + `","xapi":{"actor_id":"external_id"},"caliper":{"extended":false},"profile":"compat"}`

// contender is one way to do one job.
type contender struct {
	name string
	run  func() int
	// rounds
	ns     []float64
	allocs int64
}

func main() {
	rounds := flag.Int("rounds", 7, "rounds; each runs every contender once")
	length := flag.Duration("length", 150*time.Millisecond, "time of one contender in one round")
	flag.Parse()
	if err := run(*rounds, *length); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

func run(rounds int, length time.Duration) error {
	b, err := newBench()
	if err != nil {
		return err
	}
	testing.Init()
	if err := flag.Set("test.benchtime", length.String()); err != nil {
		return err
	}
	fmt.Printf("%s, %s/%s, %d processors, %d rounds of %v\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), rounds, length)
	for _, job := range b.jobs() {
		measure(job.contenders, rounds)
		fmt.Printf("\n%-44s %10s %10s %8s\n", job.name, "ns/event", "× first", "allocs")
		for _, c := range job.contenders {
			fmt.Printf("%-44s %10.0f %10.2f %8d\n", c.name, slices.Min(c.ns), ratio(c, job.contenders[0]), c.allocs)
		}
	}
	return nil
}

// measure runs the contenders in turn, round by round.
func measure(contenders []*contender, rounds int) {
	for range rounds {
		for _, c := range contenders {
			r := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.run()
				}
			})
			c.ns = append(c.ns, float64(r.T.Nanoseconds())/float64(r.N))
			c.allocs = r.AllocsPerOp()
		}
	}
}

// ratio is the median of the ratios taken within a round.
func ratio(c, first *contender) float64 {
	ratios := make([]float64, len(c.ns))
	for i := range c.ns {
		ratios[i] = c.ns[i] / first.ns[i]
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

type bench struct {
	directory *lookup.Directory
	set       *mapping.Set
	worker    *mapping.Worker
	parser    event.Parser
	hand      *hand
	peers     *peers
	buf       []byte
}

func newBench() (*bench, error) {
	b := &bench{}
	var err error
	if b.directory, err = lookup.NewDirectory(nil, lookup.Options{}); err != nil {
		return nil, err
	}
	sub, err := fs.Sub(mappings.FS, "xapi")
	if err != nil {
		return nil, err
	}
	set, faults := mapping.Load(sub, mapping.Options{Backend: "xapi", Settings: settings, Directory: b.directory})
	if err := faults.Err(); err != nil {
		return nil, err
	}
	b.set, b.worker, b.hand = set, set.NewWorker(), newHand(b.directory)
	b.peers, err = newPeers(b.directory)
	return b, err
}

type job struct {
	name       string
	contenders []*contender
}

func (b *bench) jobs() []job {
	small, large := []byte(playVideo), []byte(problemCheck)
	jobs := []job{
		{fmt.Sprintf("play_video, %.1f KB", float64(len(small))/1000), []*contender{
			{name: "hand-written Go, one pass", run: func() int { b.buf = b.hand.playVideo(b.buf[:0], small); return len(b.buf) }},
			{name: "engine", run: func() int { return len(b.engine("play_video", small)) }},
			{name: "gojq", run: func() int { out, _ := b.peers.byJQ(small); return len(out) }},
			{name: "expr", run: func() int { out, _ := b.peers.byExpr(small); return len(out) }},
			{name: "goja", run: func() int { out, _ := b.peers.byJS(small); return len(out) }},
		}},
		{fmt.Sprintf("problem_check, %.1f KB", float64(len(large))/1000), []*contender{
			{name: "hand-written Go, one pass", run: func() int { b.buf = b.hand.problemCheck(b.buf[:0], large); return len(b.buf) }},
			{name: "engine", run: func() int { return len(b.engine("problem_check", large)) }},
		}},
	}
	mixed := job{name: "the mix of a site, with reading the event"}
	var events [][]byte
	for _, s := range mix() {
		for range s.weight {
			events = append(events, []byte(s.event))
		}
	}
	i := 0
	mixed.contenders = []*contender{
		{name: "read: validate and normalise", run: func() int { i = (i + 7) % len(events); return len(b.read(events[i]).JSON) }},
		{name: "read and transform", run: func() int { i = (i + 7) % len(events); return len(b.transform(b.read(events[i]))) }},
	}
	return append(jobs, mixed)
}

func (b *bench) read(raw []byte) event.Event {
	ev, err := b.parser.Parse(raw)
	if err != nil {
		return event.Event{}
	}
	return ev
}

// engine transforms an event that was read before: reading is the same for all contenders.
func (b *bench) engine(name string, raw []byte) []byte {
	return b.transform(event.Event{Name: name, JSON: raw})
}

func (b *bench) transform(ev event.Event) []byte {
	r := b.worker.Transform(context.Background(), ev)
	if len(r.Statements) == 0 {
		return nil
	}
	return r.Statements[0].JSON
}
