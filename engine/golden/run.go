package golden

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Status says how a case went.
type Status string

const (
	// Passed: everything is as expected.
	Passed Status = "passed"
	// Failed: the event became something else.
	Failed Status = "failed"
	// Errored: the case could not run, for one because the mappings do not compile.
	Errored Status = "error"
	// Updated: the expectation was written anew.
	Updated Status = "updated"
)

// Result is how one case went.
type Result struct {
	Case   *Case  `json:"-"`
	Name   string `json:"name"`
	File   string `json:"file"`
	Status Status `json:"status"`
	// Message says what is wrong where the differences do not.
	Message string `json:"message,omitempty"`
	// Diffs are the values that differ.
	Diffs []Diff `json:"diffs,omitempty"`
	// Refused is the rejection that was not expected.
	Refused  *mapping.Rejection `json:"-"`
	Duration time.Duration      `json:"-"`

	got *outcome
}

// outcome is what an event became, in memory of its own.
type outcome struct {
	mapping.Outcome
	statements [][]byte
	rejection  *mapping.Rejection
	err        error
}

// Summary is how a run went.
type Summary struct {
	Results  []Result
	Counts   map[Status]int
	Duration time.Duration
	// Faults are those of the mappings that cases need; cases that need them are Errored.
	Faults diag.List
}

// OK tells whether no case failed.
func (s *Summary) OK() bool { return s.Counts[Failed]+s.Counts[Errored] == 0 }

// Run runs cases on all cores and returns their results in the order of the cases. It stops early when ctx is done;
// the cases that did not run are then Errored.
func Run(ctx context.Context, sets *Sets, cases []*Case) *Summary {
	start := time.Now()
	s := &Summary{Results: make([]Result, len(cases)), Counts: map[Status]int{}}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(cases)) {
		workers.Go(func() {
			r := runner{sets: sets, workers: map[*mapping.Set]*mapping.Worker{}}
			for i := next.Add(1) - 1; i < int64(len(cases)); i = next.Add(1) - 1 {
				s.Results[i] = r.run(ctx, cases[i])
			}
		})
	}
	workers.Wait()
	seen := map[string]bool{}
	for _, r := range s.Results {
		s.Counts[r.Status]++
		if r.Status != Errored {
			continue
		}
		_, faults, _ := sets.Get(r.Case.Backend, r.Case.Settings, false)
		for _, d := range faults.Errors() {
			if text := d.Error(); !seen[text] {
				seen[text] = true
				s.Faults = append(s.Faults, d)
			}
		}
	}
	s.Duration = time.Since(start)
	return s
}

// runner belongs to one goroutine.
type runner struct {
	sets    *Sets
	workers map[*mapping.Set]*mapping.Worker
	parser  event.Parser
	// quiet leaves out where differences come from.
	quiet bool
}

func (r *runner) run(ctx context.Context, c *Case) Result {
	start := time.Now()
	res := Result{Case: c, Name: c.Name, File: c.File}
	got, err := r.transform(ctx, c)
	res.got = got
	switch {
	case err != nil:
		res.Status, res.Message = Errored, err.Error()
	case c.Want == nil:
		res.Status, res.Message = Failed, "the case expects nothing yet: \"mapcheck test --update\" writes what the event becomes"
	default:
		r.judge(ctx, c, got, &res)
	}
	res.Duration = time.Since(start)
	return res
}

// transform does with an event what erbd does.
func (r *runner) transform(ctx context.Context, c *Case) (*outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("not run: %w", err)
	}
	set, err := r.set(c, false)
	if err != nil {
		return nil, err
	}
	w := r.workers[set]
	if w == nil {
		w = set.NewWorker()
		r.workers[set] = w
	}
	ev, err := r.parser.Parse(c.Line)
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	result := w.Transform(ctx, ev)
	out := &outcome{Outcome: result.Outcome, err: result.Err}
	if result.Rejection != nil {
		rejection := *result.Rejection
		rejection.Pos = r.sets.Place(rejection.Pos)
		out.rejection = &rejection
	}
	for _, s := range result.Statements {
		out.statements = append(out.statements, bytes.Clone(s.JSON))
	}
	if out.Outcome == mapping.Failed {
		return nil, out.err
	}
	return out, nil
}

func (r *runner) set(c *Case, trace bool) (*mapping.Set, error) {
	set, faults, err := r.sets.Get(c.Backend, c.Settings, trace)
	if err != nil {
		return nil, err
	}
	if n := len(faults.Errors()); n > 0 {
		return nil, fmt.Errorf("the %s mappings have %s", c.Backend, plural(n, "fault"))
	}
	return set, nil
}

func (r *runner) judge(ctx context.Context, c *Case, got *outcome, res *Result) {
	res.Status = Failed
	w := c.Want
	switch got.Outcome {
	case mapping.Unmapped:
		if w.Statements == nil && w.Rejected == nil {
			res.Status = Passed
			return
		}
		res.Message = fmt.Sprintf("the event is not mapped: no %s mapping names %s", c.Backend, c.Event)
	case mapping.Rejected:
		switch {
		case w.Rejected == nil:
			res.Message, res.Refused = "the event was rejected", got.rejection
		case w.Rejected.Field == got.rejection.Field && w.Rejected.Reason == got.rejection.Reason:
			res.Status = Passed
		default:
			res.Message, res.Refused = "the event was rejected, but not as expected", got.rejection
		}
	default:
		switch {
		case w.Rejected != nil:
			res.Message = fmt.Sprintf("the event was to be rejected at %s (%s), but became %s", w.Rejected.Field, w.Rejected.Reason, plural(len(got.statements), "statement"))
		case w.Statements == nil:
			res.Message = fmt.Sprintf("the event was to be unmapped, but became %s", plural(len(got.statements), "statement"))
		default:
			r.compare(ctx, c, got, res)
		}
	}
}

// compare holds the statements against those wanted and asks the mapping where differences came from.
func (r *runner) compare(ctx context.Context, c *Case, got *outcome, res *Result) {
	want := c.Want.Statements
	d := &differ{}
	for i := range max(len(want), len(got.statements)) {
		d.statement = i
		var node *yamldoc.Node
		var wv, gv any
		var err error
		if i < len(want) {
			node = want[i]
			if wv, err = decode(node.AppendJSON(nil)); err != nil {
				res.Message = err.Error()
				return
			}
		}
		if i < len(got.statements) {
			if gv, err = decode(got.statements[i]); err != nil {
				res.Message = err.Error()
				return
			}
		}
		d.compare("", c.Want.Pos, node, wv, gv, i < len(want), i < len(got.statements))
	}
	if len(d.diffs) == 0 {
		res.Status = Passed
		return
	}
	res.Diffs = d.diffs
	if r.quiet {
		return
	}
	trace := r.trace(ctx, c)
	for i := range res.Diffs {
		diff := &res.Diffs[i]
		for _, step := range trace.Origin(diff.statement, diff.path) {
			diff.From = append(diff.From, r.source(step.Field))
		}
		diff.Path = diff.path
		if len(want) > 1 || len(got.statements) > 1 {
			diff.Path = mapping.IndexPath("statements", diff.statement)
			if diff.path != "" {
				diff.Path += "." + diff.path
			}
		} else if diff.Path == "" {
			diff.Path = "the statement"
		}
	}
}

// trace runs the case once more, line by line; nil where that is not possible.
func (r *runner) trace(ctx context.Context, c *Case) *mapping.Trace {
	set, err := r.set(c, true)
	if err != nil {
		return nil
	}
	ev, err := r.parser.Parse(c.Line)
	if err != nil {
		return nil
	}
	_, t := set.NewWorker().Trace(ctx, ev)
	return t
}

func (r *runner) source(f *mapping.Field) Source {
	s := Source{Pos: r.sets.Place(f.Pos), Text: f.Source}
	if !f.Literal {
		s.Text = "${" + f.Source + "}"
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
