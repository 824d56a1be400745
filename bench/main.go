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

	"github.com/tidwall/gjson"

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
	// parallel, where set, makes a run for each of many goroutines.
	parallel func() func() int
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
				if c.parallel != nil {
					b.RunParallel(func(pb *testing.PB) {
						for run := c.parallel(); pb.Next(); {
							run()
						}
					})
					return
				}
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
	mix       []share
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
	if b.mix, err = mix(); err != nil {
		return nil, err
	}
	b.peers, err = newPeers(b.directory)
	return b, err
}

type job struct {
	name       string
	contenders []*contender
}

func (b *bench) jobs() []job {
	small, large := []byte(playVideo), []byte(problemCheck)
	var jobs []job
	for _, e := range []struct {
		name  string
		bytes []byte
		hand  func(dst, ev []byte) []byte
		peers []*contender
	}{
		{"play_video", small, b.hand.playVideo, []*contender{
			{name: "gojq", run: func() int { out, _ := b.peers.byJQ(small); return len(out) }},
			{name: "expr", run: func() int { out, _ := b.peers.byExpr(small); return len(out) }},
			{name: "goja", run: func() int { out, _ := b.peers.byJS(small); return len(out) }},
		}},
		{"problem_check", large, b.hand.problemCheck, nil},
	} {
		var own event.Parser
		ev, err := own.Parse(e.bytes)
		if err != nil {
			panic(err)
		}
		size := fmt.Sprintf(", %.1f KB", float64(len(e.bytes))/1000)
		jobs = append(jobs, job{e.name + size + ", read and valid", []*contender{
			{name: "hand-written Go, one pass", run: func() int { b.buf = e.hand(b.buf[:0], e.bytes); return len(b.buf) }},
			{name: "engine", run: func() int { return len(b.transform(ev)) }},
		}}, job{e.name + size + ", from its bytes", append([]*contender{
			{name: "hand-written Go, and gjson.Valid", run: func() int {
				if !gjson.ValidBytes(e.bytes) {
					return 0
				}
				b.buf = e.hand(b.buf[:0], e.bytes)
				return len(b.buf)
			}},
			{name: "engine", run: func() int { return len(b.transform(b.read(e.bytes))) }},
		}, e.peers...)})
	}
	var events [][]byte
	for _, s := range b.mix {
		ev := []byte(s.event)
		for range s.weight {
			events = append(events, ev)
		}
	}
	const step = 7919 // a prime, so that the kinds of events change all the time
	i := 0
	next := func() []byte { i = (i + step) % len(events); return events[i] }
	return append(jobs, job{"the mix of a site, from its bytes", []*contender{
		{name: "engine", run: func() int { return len(b.transform(b.read(next()))) }},
		{name: fmt.Sprintf("engine, %d at once", runtime.GOMAXPROCS(0)), parallel: func() func() int {
			w, i := b.set.NewWorker(), 0
			var p event.Parser
			return func() int {
				i = (i + step) % len(events)
				ev, err := p.Parse(events[i])
				if err != nil {
					return 0
				}
				return len(w.Transform(context.Background(), ev).Statements)
			}
		}},
		{name: "of it reading: validate, normalise, note", run: func() int { return len(b.read(next()).JSON) }},
	}})
}

func (b *bench) read(raw []byte) event.Event {
	ev, err := b.parser.Parse(raw)
	if err != nil {
		return event.Event{}
	}
	return ev
}

func (b *bench) transform(ev event.Event) []byte {
	r := b.worker.Transform(context.Background(), ev)
	if len(r.Statements) == 0 {
		return nil
	}
	return r.Statements[0].JSON
}
