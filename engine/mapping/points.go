package mapping

import (
	"slices"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Points are the places of a Set with Options.Trace that events can reach. A place that several events share is
// listed once; places that no event can reach, such as a let that nothing uses, are not listed.
type Points struct {
	// Fields are all literals and expressions of statements, lets and conditions.
	Fields []*Field
	// Branches are the sides of ? : and the ways through && and ||.
	Branches []*Branch
	// Alternatives of all files that have some.
	Alternatives []*Alternative

	fields   map[diag.Position]bool
	branches map[branchKey]*Branch
}

// Branch is one way through an expression.
type Branch struct {
	// Pos is where the operator stands.
	Pos diag.Position
	// Kind is one of expr.BranchTrue and so on.
	Kind string
}

type branchKey struct {
	pos  diag.Position
	kind string
}

// Alternative is one of the statements that the events of a file may become.
type Alternative struct {
	Pos  diag.Position
	Name string
	// Events are the names of the events that try the alternative.
	Events []string
}

func newPoints(trace bool) *Points {
	if !trace {
		return nil
	}
	return &Points{fields: map[diag.Position]bool{}, branches: map[branchKey]*Branch{}}
}

// Points lists what events can reach; nil unless the Set was loaded with Options.Trace.
func (s *Set) Points() *Points { return s.points }

func (p *Points) alternative(f *file, ev eventEntry, u *unit) {
	if p == nil || len(f.doc.Alternatives) == 0 {
		return
	}
	pos := u.node.Pos()
	i := slices.IndexFunc(p.Alternatives, func(a *Alternative) bool { return a.Pos == pos })
	if i < 0 {
		i = len(p.Alternatives)
		p.Alternatives = append(p.Alternatives, &Alternative{Pos: pos, Name: u.name})
	}
	p.Alternatives[i].Events = append(p.Alternatives[i].Events, ev.name)
}

// observed makes a leaf report its values; a leaf that is constant is evaluated all the same.
func (p *Points) observed(l *leaf) *leaf {
	if p == nil {
		return l
	}
	if !p.fields[l.field.Pos] {
		p.fields[l.field.Pos] = true
		p.Fields = append(p.Fields, l.field)
	}
	node, field := l.bound.Node, l.field
	l.bound.Const = nil
	l.bound.Node = func(f *expr.Frame) expr.Value {
		v := node(f)
		f.Observed(field, v)
		return v
	}
	return l
}

// probe gives the branches of the expression that stands in a part of a scalar; nil where nobody asks.
func (b *unitBuilder) probe(n *yamldoc.Node, p part) func(at int, kind string) any {
	points := b.c.points
	if points == nil {
		return nil
	}
	return func(at int, kind string) any {
		key := branchKey{n.PosAt(p.from + at), kind}
		branch := points.branches[key]
		if branch == nil {
			branch = &Branch{Pos: key.pos, Kind: kind}
			points.branches[key] = branch
			points.Branches = append(points.Branches, branch)
		}
		return branch
	}
}

// literal writes a constant like the value of an expression, so that it is observed.
func (w *segmentWriter) literal(key []byte, n *yamldoc.Node, v expr.Value, path string) (sure bool) {
	l := &leaf{
		expr.Bound{Node: func(*expr.Frame) expr.Value { return v }, Native: true},
		&Field{Path: path, Pos: n.Pos(), Source: n.Text, Literal: true},
	}
	w.ops = append(w.ops, op{kind: opValue, bytes: key, leaf: w.b.c.points.observed(l)})
	return false
}
