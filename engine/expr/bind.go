package expr

import (
	"slices"
	"strings"
	"unsafe"

	"github.com/erbd/erbd/engine/event"
)

// Binder collects what the expressions of one mapping need: their look-ups in one Scanner, their names in Vars.
// It belongs to one goroutine and is thrown away when the mapping is compiled.
type Binder struct {
	Scanner *event.Scanner
	Vars    *Variables
	// Uses, where it is not nil, counts how often expressions use each variable; those that cel-go evaluates count
	// twice, as they may use it in a loop.
	Uses map[string]int
	// Twofold, where it is not nil, gets the variables that are written by [Variable.ASCII]; those are no uses of their
	// values.
	Twofold map[string]bool
	// Lenient answers null for the members that settings, args and tables do not have, instead of a fault.
	Lenient bool
	// Probe, where it is set, gives the origin of a branch of an expression, at a byte offset of its text. Taking the
	// branch is then told to the frame's observer, and nothing that has branches is folded.
	Probe func(at int, branch string) any
	reads []string
}

func (b *Binder) read(path string) {
	if !slices.Contains(b.reads, path) {
		b.reads = append(b.reads, path)
	}
}

// Bound is an expression made ready for evaluation.
type Bound struct {
	Node Node
	// Const is the value where it is known without an event, nil otherwise.
	Const *Value
	// Fails is why the expression fails for every event, nil where it does not.
	Fails *Failure
	// Reads lists the paths and keys of the event that the expression itself reads.
	Reads []string
	// Native is false where cel-go evaluates the expression, which is slower.
	Native bool
	// Plain is true for what only reads a place of the event, which costs no more than to remember the value.
	Plain bool
	write TextWriter
}

// Remembered is the expression of a variable that was added for it alone.
func (b *Bound) Remembered(index int) Bound {
	return Bound{Node: func(f *Frame) Value { return f.variable(index) }, Reads: b.Reads, Native: b.Native}
}

// Variable is the variable of a let that has the expression as its value.
func (b *Bound) Variable(name string, origin any) Variable {
	return Variable{Name: name, Eval: b.Node, Const: b.Const, Origin: origin, Inline: b.Plain, write: b.write}
}

// AppendJSON appends the value as JSON and returns it; nothing is appended of Null and Failed. A Text that need not be
// made first is only there until dst grows.
func (b *Bound) AppendJSON(f *Frame, dst []byte) ([]byte, Value) {
	if b.write == nil {
		v := b.Node(f)
		if v.kind != Null {
			dst = v.AppendJSON(dst)
		}
		return dst, v
	}
	start := len(dst)
	dst, v := b.AppendEscaped(f, append(dst, '"'))
	switch v.kind {
	case Text:
		return append(dst, '"'), v
	case Null:
		return dst[:start], v
	}
	return v.AppendJSON(dst[:start]), v
}

// AppendEscaped appends the inside of the JSON string of a Text and returns the value; nothing is appended of any other
// kind. A Text that need not be made first is only there until dst grows.
func (b *Bound) AppendEscaped(f *Frame, dst []byte) ([]byte, Value) {
	if b.write == nil {
		v := b.Node(f)
		switch {
		case v.kind != Text:
		case v.plain:
			dst = append(dst, v.str()...)
		default:
			dst = AppendEscaped(dst, v.str())
		}
		return dst, v
	}
	start := len(dst)
	dst, v := b.write(f, dst)
	if v.kind == Text {
		text := unsafe.String(unsafe.SliceData(dst[start:]), len(dst)-start)
		v = TextValue(text)
		if n := nextEscape(text, 0); n < len(text) {
			v = TextValue(strings.Clone(text))
			dst = AppendEscaped(dst[:start+n], v.str()[n:])
		}
	}
	return dst, v
}

// Bind makes an expression ready: known calls become Go closures over the slots of the scanner, constants are
// folded, and whatever is left runs in cel-go. Both ways give the same values.
func (x *Expr) Bind(b *Binder) (Bound, []Fault) { return x.bind(b, true) }

// BindGeneral is Bind without closures: cel-go evaluates everything. Tests hold the two against each other.
func (x *Expr) BindGeneral(b *Binder) (Bound, []Fault) { return x.bind(b, false) }

func (x *Expr) bind(b *Binder, native bool) (Bound, []Fault) {
	b.reads = nil
	l := &lowering{b: b, x: x}
	n, ok := l.lower(x.ast.NativeRep().Expr())
	if len(l.faults) > 0 {
		return Bound{}, l.faults
	}
	if ok && native {
		bound := Bound{Node: n.node, Const: n.konst, Fails: n.fails, Reads: b.reads, Native: true, Plain: n.plain, write: n.write}
		if n.konst != nil {
			v := *n.konst
			bound.Node = func(*Frame) Value { return v }
		}
		return bound, nil
	}
	if b.Uses != nil {
		for _, name := range x.Names() {
			b.Uses[name] += 2
		}
	}
	node, err := x.plan(b)
	if err != nil {
		return Bound{}, []Fault{{To: len(x.source), Code: "bad-argument", Message: err.Error()}}
	}
	return Bound{Node: node, Reads: b.reads}, nil
}
