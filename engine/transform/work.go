package transform

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
)

// The outcomes of an input line, as [Options.Outcomes] writes them.
const (
	OutcomeTransformed = "transformed" // at least one statement
	OutcomeUnmapped    = "unmapped"    // no mapping has the name
	OutcomeFiltered    = "filtered"    // the name filter kept it out
	OutcomeRejected    = "rejected"    // its mapping refused it
	OutcomeInvalid     = "invalid"     // no event
)

// worker transforms blocks; it belongs to one goroutine.
type worker struct {
	p      *pipeline
	engine Worker
	parser *event.Parser
	tally  *tally
}

func (p *pipeline) newWorker(t *tally) *worker {
	return &worker{p: p, engine: p.opt.NewWorker(), parser: event.NewParser(p.opt.Limits), tally: t}
}

func (w *worker) run(ctx context.Context) {
	for j := range w.p.work {
		if j.err == nil && !w.p.broken.Load() {
			w.block(ctx, j)
		}
		if j.data != nil {
			if cap(*j.data) <= maxRecycled {
				w.p.blocks.Put(j.data)
			}
			j.data = nil
		}
		j.done <- struct{}{}
	}
}

func (w *worker) block(ctx context.Context, j *job) {
	if j.block.Oversized {
		w.invalid(j, j.block.First, fmt.Errorf("%w: more than %d bytes", event.ErrTooLarge, w.p.opt.Limits.MaxBytes))
		return
	}
	for n, line := range j.block.Lines() {
		w.line(ctx, j, n, line)
	}
}

func (w *worker) line(ctx context.Context, j *job, n int64, line []byte) {
	ev, err := w.parser.Parse(line)
	if err != nil {
		w.invalid(j, n, err)
		return
	}
	t := w.tally.of(ev.Name)
	if f := w.p.opt.Filter; f != nil && !f.Allows(ev.Name) {
		t.Filtered++
		w.outcome(j, n, ev.Name, OutcomeFiltered, nil, nil)
		return
	}
	result := w.engine.Transform(ctx, ev)
	switch result.Outcome {
	case mapping.Transformed:
		t.Transformed++
		t.Statements += int64(len(result.Statements))
		if w.p.opt.Outcomes {
			w.outcome(j, n, ev.Name, OutcomeTransformed, result.Statements, nil)
			return
		}
		for i := range result.Statements {
			j.out = append(append(j.out, result.Statements[i].JSON...), '\n')
		}
	case mapping.Unmapped:
		t.Unmapped++
		w.outcome(j, n, ev.Name, OutcomeUnmapped, nil, nil)
	default:
		t.Rejected++
		r := refusal(result)
		w.tally.reject(ev.Name, r, 1)
		w.outcome(j, n, ev.Name, OutcomeRejected, nil, &r)
	}
}

// reasons says why and where an event was refused.
type reasons struct{ reason, field, mapping string }

func refusal(result mapping.Result) reasons {
	switch {
	case result.Rejection != nil:
		r := reasons{reason: result.Rejection.Reason, field: result.Rejection.Field}
		if pos := result.Rejection.Pos; pos.IsValid() || pos.File != "" {
			r.mapping = pos.String()
		}
		return r
	case errors.Is(result.Err, mapping.ErrLookup):
		return reasons{reason: result.Err.Error()}
	case result.Err != nil:
		return reasons{reason: "look-up failed: " + result.Err.Error()}
	}
	return reasons{reason: "no reason given"}
}

func (w *worker) invalid(j *job, n int64, err error) {
	w.tally.invalid++
	if len(j.invalid) < maxInvalid {
		j.invalid = append(j.invalid, InvalidLine{Input: j.input, Line: n, Reason: err.Error()})
	}
	w.outcome(j, n, "", OutcomeInvalid, nil, &reasons{reason: err.Error()})
}

// outcome appends the outcome of one line as JSON, where that is asked for.
func (w *worker) outcome(j *job, n int64, name, outcome string, statements []mapping.Statement, why *reasons) {
	if !w.p.opt.Outcomes {
		return
	}
	out := append(j.out, '{')
	if w.p.severalInputs {
		out = appendMember(out, `"file":`, j.input)
		out = append(out, ',')
	}
	out = append(out, `"line":`...)
	out = strconv.AppendInt(out, n, 10)
	if name == "" {
		out = append(out, `,"name":null`...)
	} else {
		out = appendMember(out, `,"name":`, name)
	}
	out = appendMember(out, `,"outcome":`, outcome)
	out = append(out, `,"statements":[`...)
	for i := range statements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, statements[i].JSON...)
	}
	out = append(out, ']')
	if why != nil {
		out = appendMember(out, `,"reason":`, why.reason)
		if why.field != "" {
			out = appendMember(out, `,"field":`, why.field)
		}
		if why.mapping != "" {
			out = appendMember(out, `,"mapping":`, why.mapping)
		}
	}
	j.out = append(out, '}', '\n')
}

func appendMember(out []byte, key, text string) []byte {
	return gjson.AppendJSONString(append(out, key...), text)
}
