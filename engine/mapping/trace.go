package mapping

import (
	"context"
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
)

// Trace is how a worker came to its result.
type Trace struct {
	// Steps are all values computed, in order. Lets are computed when something first needs them, and once.
	Steps []Step
	// Branches are the ways taken through expressions, with repetitions.
	Branches []*Branch
	// Alternative is where the alternative that was taken stands, or the file where it has none; the zero Position
	// where none was taken.
	Alternative diag.Position

	statement int
}

// Step is one value that was computed for an event.
type Step struct {
	// Field is the line that computed it.
	Field *Field
	// Statement is the number of the statement that was written then, from 0; -1 before the first one.
	Statement int
	// JSON is the value, "null" where it is absent, "" where it failed.
	JSON string
	// Failure is why there is no value, nil where there is one.
	Failure *expr.Failure
}

// Trace is Transform with a record of what happened. The trace stays valid and holds values of the event; it is nil
// unless the Set was loaded with Options.Trace.
func (w *Worker) Trace(ctx context.Context, ev event.Event) (Result, *Trace) {
	if w.set.points == nil {
		return w.Transform(ctx, ev), nil
	}
	t := &Trace{statement: -1}
	w.trace = t
	w.frame.Observe(t.observe)
	defer func() {
		w.trace = nil
		w.frame.Observe(nil)
	}()
	return w.Transform(ctx, ev), t
}

func (t *Trace) observe(origin any, v expr.Value) {
	switch o := origin.(type) {
	case *Field:
		t.Steps = append(t.Steps, Step{Field: o, Statement: t.statement, JSON: v.JSON(), Failure: v.Failure()})
	case *Branch:
		t.Branches = append(t.Branches, o)
	}
}

func (t *Trace) taken(u *unit) {
	if t != nil {
		t.Alternative = u.node.Pos()
	}
}

func (t *Trace) begin() {
	if t != nil {
		t.statement++
	}
}

// Origin lists the steps that made the value at a path of a statement, as JoinPath and IndexPath write it: first the
// line of the statement itself, then the lets that it only passes on. It is empty where no line writes there.
func (t *Trace) Origin(statement int, path string) (steps []Step) {
	if t == nil {
		return nil
	}
	at := statement
	for {
		s, rest, ok := t.nearest(at, path)
		if !ok {
			if len(steps) == 0 {
				steps = t.below(at, path)
			}
			return steps
		}
		steps = append(steps, s)
		if len(s.Field.Names) != 1 || strings.TrimSpace(s.Field.Source) != s.Field.Names[0] || len(steps) > 32 {
			return steps
		}
		at, path = -2, "let "+s.Field.Names[0]+rest
	}
}

// nearest is the last step whose path is the given one, or encloses it; at is -2 for lets, which any statement may
// have computed first.
func (t *Trace) nearest(at int, path string) (found Step, rest string, ok bool) {
	for _, s := range t.Steps {
		p := s.Field.Path
		if at != -2 && s.Statement != at || !strings.HasPrefix(path, p) || ok && len(p) < len(found.Field.Path) {
			continue
		}
		tail := path[len(p):]
		if tail == "" || tail[0] == '.' || tail[0] == '[' {
			found, rest, ok = s, tail, true
		}
	}
	return found, rest, ok
}

// below is the first step that writes inside of a path: where an object or list stands whose members are written one
// by one.
func (t *Trace) below(at int, path string) []Step {
	for _, s := range t.Steps {
		if tail, ok := strings.CutPrefix(s.Field.Path, path); ok && s.Statement == at && tail != "" && (tail[0] == '.' || tail[0] == '[') {
			return []Step{s}
		}
	}
	return nil
}

// JoinPath is the path of a member of an object, written as Field.Path is.
func JoinPath(path, key string) string { return joinPath(path, key) }

// IndexPath is the path of an item of a list.
func IndexPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
