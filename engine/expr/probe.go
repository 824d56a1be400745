package expr

import "github.com/google/cel-go/common/ast"

// The branches of operators that do not look at all of their arguments.
const (
	// BranchTrue and BranchFalse are the sides of ? :
	BranchTrue  = "? true"
	BranchFalse = "? false"
	// BranchAndLeft: the left side of && is false, so the right one does not matter; and so on.
	BranchAndLeft  = "&& left false"
	BranchAndRight = "&& right false"
	BranchAndBoth  = "&& both true"
	BranchOrLeft   = "|| left true"
	BranchOrRight  = "|| right true"
	BranchOrNone   = "|| both false"
)

// Observer is told what expressions do while a frame evaluates them: origin is what Binder.Probe gave for a branch,
// or what the owner of an expression passes to Frame.Observed. It is called on the goroutine of the frame; the value
// is valid during the call.
type Observer func(origin any, v Value)

// Observe sets the observer of the frame; nil removes it.
func (f *Frame) Observe(o Observer) { f.observer = o }

// Observed tells the observer, if there is one, of a value.
func (f *Frame) Observed(origin any, v Value) {
	if f.observer != nil {
		f.observer(origin, v)
	}
}

// probed is a node that reports that its branch is taken.
func (l *lowering) probed(e ast.Expr, branch string, n Node) Node {
	if l.b.Probe == nil {
		return n
	}
	origin := l.b.Probe(l.offset(e), branch)
	return func(f *Frame) Value {
		f.Observed(origin, NullValue)
		return n(f)
	}
}

func (l *lowering) offset(e ast.Expr) int { return l.x.fault(e, "", "").From }

// logical is the node of && or ||, with its branches reported where they are asked for.
func (l *lowering) logical(e ast.Expr, a, b Node, absorbing bool) Node {
	if l.b.Probe == nil {
		return logical(a, b, absorbing)
	}
	names := [...]string{BranchAndLeft, BranchAndRight, BranchAndBoth}
	if absorbing {
		names = [...]string{BranchOrLeft, BranchOrRight, BranchOrNone}
	}
	at := l.offset(e)
	var origins [3]any
	for i, name := range names {
		origins[i] = l.b.Probe(at, name)
	}
	return func(f *Frame) Value {
		looked := false
		v := logical(a, func(f *Frame) Value { looked = true; return b(f) }, absorbing)(f)
		switch truth, ok := v.Bool(); {
		case !ok:
		case !looked:
			f.Observed(origins[0], NullValue)
		case truth == absorbing:
			f.Observed(origins[1], NullValue)
		default:
			f.Observed(origins[2], NullValue)
		}
		return v
	}
}
