package mapping

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
)

// Outcome is what became of an event.
type Outcome uint8

const (
	// Transformed events have at least one statement.
	Transformed Outcome = iota
	// Unmapped events have a name that no mapping has.
	Unmapped
	// Rejected events lack something their mapping requires; Result.Rejection says what.
	Rejected
	// Failed events could not be looked up; the same event may succeed later. Result.Err says why.
	Failed
)

var outcomeNames = [...]string{"transformed", "unmapped", "rejected", "failed"}

// String returns the name of the outcome, such as "transformed".
func (o Outcome) String() string { return outcomeNames[o] }

// Statement is one statement of an event.
type Statement struct {
	// ID is the statement's id, such as a UUID. Like JSON it is valid until the worker's next call.
	ID string
	// JSON is the whole statement.
	JSON []byte
}

// Rejection says why an event has no statements. It holds no values of the event.
type Rejection struct {
	// Field is the place in the statement, such as "object.id" or "let course".
	Field string
	// Pos is the line of the mapping that refused the event.
	Pos diag.Position
	// Reason is a sentence without a stop.
	Reason string
	// Reads are the paths of the event that the refusing expression reads.
	Reads []string
}

// Error is the reason with its place.
func (r *Rejection) Error() string {
	return fmt.Sprintf("%s: %s: %s", r.Pos, r.Field, r.Reason)
}

// Result is what Transform gives. Statements and their bytes are valid until the worker's next call.
type Result struct {
	Outcome Outcome
	// Statements is complete, a parent before its children; empty unless the outcome is Transformed.
	Statements []Statement
	// Alternative is the name of the alternative that was taken, "" where it has none.
	Alternative string
	Rejection   *Rejection
	// Warnings are the filters that failed and were told to do so silently.
	Warnings []Warning
	Err      error
}

// ErrLookup marks the transient failures of look-ups.
var ErrLookup = errors.New("look-up failed")

// Worker transforms events one after the other. It belongs to one goroutine.
type Worker struct {
	set        *Set
	frame      *expr.Frame
	out        output
	places     []place
	statements []Statement
	trace      *Trace // nil unless Trace runs
}

type place struct{ start, end, idStart, idEnd int }

// NewWorker returns a worker of the set.
func (s *Set) NewWorker() *Worker {
	return &Worker{set: s, frame: expr.NewFrame(s.directory)}
}

// Transform makes the statements of an event: all of them or none.
func (w *Worker) Transform(ctx context.Context, ev event.Event) Result {
	p := w.set.programs[ev.Name]
	if p == nil {
		return Result{Outcome: Unmapped}
	}
	f := w.frame
	f.Begin(ctx, ev, p.scanner)
	if cap(w.out.dst) > keptOutput {
		w.out.dst = nil
	}
	w.out.dst, w.out.warnings, w.places = w.out.dst[:0], nil, w.places[:0]
	for _, u := range p.alternatives {
		f.Enter(u.vars)
		if u.when != nil {
			v := u.when.bound.Node(f)
			truth, ok := v.Bool()
			if !ok {
				return w.refuse(notBool("when", v), u.when.field)
			}
			if !truth {
				continue
			}
		}
		return w.unit(u)
	}
	return Result{Outcome: Rejected, Rejection: &Rejection{Field: "when", Pos: p.pos, Reason: "no alternative of the mapping applies to the event"}}
}

func (w *Worker) unit(u *unit) Result {
	w.trace.taken(u)
	if r, ok := w.statement(u); !ok {
		return r
	}
	if u.children != nil {
		if r, ok := w.children(u.children); !ok {
			return r
		}
	}
	w.statements = w.statements[:0]
	for _, p := range w.places {
		w.statements = append(w.statements, Statement{ID: w.id(p), JSON: w.out.dst[p.start:p.end]})
	}
	return Result{Outcome: Transformed, Statements: w.statements, Alternative: u.name, Warnings: w.out.warnings}
}

// id is the id of a statement: where it was written as a member, "id":"…", or else where it turns out to be.
func (w *Worker) id(p place) string {
	if id := w.out.dst[p.idStart:p.idEnd]; len(id) > len(`"id":`) {
		return idText(id[len(`"id":`) : len(id)-1])
	}
	return gjson.GetBytes(w.out.dst[p.start:p.end], "id").String()
}

// idText is the text of an id that was written as JSON.
func idText(raw []byte) string {
	if len(raw) > 2 && raw[0] == '"' {
		text := raw[1:]
		if end := bytes.IndexByte(text, '"'); end > 0 && bytes.IndexByte(text[:end], '\\') < 0 {
			return unsafe.String(&text[0], end)
		}
	}
	return gjson.ParseBytes(raw).String()
}

// statement writes one statement.
func (w *Worker) statement(u *unit) (Result, bool) {
	start := len(w.out.dst)
	w.out.idStart, w.out.idEnd = 0, 0
	w.trace.begin()
	if failure := u.statement.run(w.frame, &w.out); failure != nil {
		at := w.out.field
		if at == nil {
			at = u.place
		}
		return w.refuse(failure, at), false
	}
	end := len(w.out.dst)
	if end == start {
		return w.refuse(&expr.Failure{Reason: "the statement is empty"}, u.place), false
	}
	if w.out.dst[start] != '{' {
		kind := expr.JSONValue(string(w.out.dst[start : end-1])).Kind()
		return w.refuse(&expr.Failure{Reason: "a statement must be an object, it is " + kind.String()}, u.place), false
	}
	w.places = append(w.places, place{start, end - 1, w.out.idStart, w.out.idEnd})
	return Result{}, true
}

// children writes a statement for each member of the list or object that for_each gives.
func (w *Worker) children(u *unit) (result Result, ok bool) {
	f := w.frame
	f.Enter(u.vars)
	v := u.forEach.bound.Node(f)
	switch v.Kind() {
	case expr.Failed:
		return w.refuse(v.Failure(), u.forEach.field), false
	case expr.Null:
		return Result{}, true
	case expr.Object, expr.List:
	default:
		return w.refuse(&expr.Failure{Reason: "for_each needs a list or an object, it is " + v.Kind().String()}, u.forEach.field), false
	}
	index := int64(0)
	ok = true
	gjson.Parse(v.Raw()).ForEach(func(k, item gjson.Result) bool {
		key := expr.IntValue(index)
		if v.Kind() == expr.Object {
			key = expr.TextValue(event.Unquote(k.Raw))
		}
		f.Set(u.item, expr.JSONValue(item.Raw))
		f.Set(u.key, key)
		index++
		result, ok = w.statement(u)
		return ok
	})
	return result, ok
}

// refuse makes the result of a failure at a field, or where the failure says it came from.
func (w *Worker) refuse(f *expr.Failure, at *Field) Result {
	if origin, ok := f.Origin.(*Field); ok && origin != nil {
		at = origin
	}
	if f.Transient {
		return Result{Outcome: Failed, Err: fmt.Errorf("%w: %s: %w", ErrLookup, f.Reason, f.Err)}
	}
	r := &Rejection{Field: at.Path, Pos: at.Pos, Reason: f.Reason, Reads: at.Reads}
	if !strings.Contains(f.Reason, "required") && len(at.Reads) > 0 && !namesPath(f.Reason, at.Reads) {
		r.Reason += " (reads " + w.described(at.Reads) + ")"
	}
	return Result{Outcome: Rejected, Rejection: r}
}

func namesPath(reason string, reads []string) bool {
	for _, path := range reads {
		if strings.Contains(reason, path) {
			return true
		}
	}
	return false
}

// described names paths with the kinds of what the event has there.
func (w *Worker) described(reads []string) string {
	parts := make([]string, len(reads))
	for i, path := range reads {
		kind := expr.KindAt(w.frame.Event(), path)
		parts[i] = path + ": " + kind
	}
	return strings.Join(parts, ", ")
}
