package mapping

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/yamldoc"
)

// unitBuilder compiles one unit.
type unitBuilder struct {
	c       *compiler
	file    *file
	lets    []let
	given   []string
	consts  map[string]expr.Value
	scanner *event.Scanner
	prune   pruning
	// uses counts the uses of lets in the first pass, once holds those that have one in the second.
	uses map[string]int
	once map[string]bool
	// twofold are the lets whose tree is written in two forms; their expressions are evaluated once all the same, in
	// the variables that remembered holds.
	twofold    map[string]bool
	remembered map[seenKey]int

	names  []string
	scope  *scope
	vars   *expr.Variables
	state  map[string]resolveState
	binder *expr.Binder
	// dependsOnGiven marks the lets that need item or key, directly or not.
	dependsOnGiven map[string]bool
	// used are the names in the expressions of the let that is being compiled, those of its filters included.
	used map[string]bool
}

// build compiles the unit twice: first to see how often each let is used, then with those that are used once put in
// the place of their use.
func (b *unitBuilder) build(statement *tree, when, forEach *yamldoc.Node) *unit {
	before := len(b.c.faults)
	b.uses, b.once, b.twofold = map[string]int{}, nil, map[string]bool{}
	u := b.pass(statement, when, forEach)
	if u == nil || len(b.c.faults) > before || b.c.points != nil {
		return u
	}
	b.once = map[string]bool{}
	for name, n := range b.uses {
		b.once[name] = n == 1
	}
	b.uses = nil
	return b.pass(statement, when, forEach)
}

func (b *unitBuilder) pass(statement *tree, when, forEach *yamldoc.Node) *unit {
	names := []string{"args", "name", "settings", "tables"}
	for _, l := range b.lets {
		names = append(names, l.name)
	}
	names = append(names, b.given...)
	u := &unit{vars: expr.NewVariables(b.consts)}
	b.names, b.scope, b.vars = names, b.c.scope(names), u.vars
	if b.scope == nil {
		return u
	}
	b.state, b.dependsOnGiven, b.used = map[string]resolveState{}, map[string]bool{}, map[string]bool{}
	b.remembered = map[seenKey]int{}
	b.binder = &expr.Binder{Scanner: b.scanner, Vars: b.vars, Uses: b.uses}
	if b.uses != nil {
		b.binder.Twofold = b.twofold
	}
	if len(b.given) > 0 {
		u.item = b.vars.Add(expr.Variable{Name: "item"})
		u.key = b.vars.Add(expr.Variable{Name: "key"})
		b.dependsOnGiven["item"], b.dependsOnGiven["key"] = true, true
	}
	b.vars.Add(expr.Variable{Name: "result"})
	var never bool
	if u.when, never = b.condition(when); never {
		return nil
	}
	if forEach != nil {
		u.forEach = b.leafOf(forEach, "children.for_each")
	}
	if statement != nil {
		u.place = &Field{Path: "statement", Pos: statement.node.Pos()}
		u.statement = b.segment(statement, "")
	}
	return u
}

// condition compiles a when: nil where it is absent or always true, never where it is always false.
func (b *unitBuilder) condition(n *yamldoc.Node) (l *leaf, never bool) {
	if n == nil {
		return nil, false
	}
	if !isExpression(n) {
		d := n.Diag(diag.Error, "bad-type", "", "when takes one ${…} that is true or false")
		d.Hint = lineBreakHint(n)
		b.c.fault(d)
		return nil, false
	}
	l = b.leafOf(n, "when")
	if l == nil || l.bound.Const == nil {
		return l, false
	}
	truth, ok := l.bound.Const.Bool()
	if !ok {
		b.c.fault(n.Diag(diag.Error, "expr-type", "", "when must be true or false, it is %s", l.bound.Const.Kind()))
	}
	return nil, ok && !truth
}

// leafOf compiles a scalar that is one expression; nil after a fault.
func (b *unitBuilder) leafOf(n *yamldoc.Node, path string) *leaf {
	parts, _ := split(n.Text)
	return b.expression(n, parts[0], path)
}

// expression compiles the part of a scalar that is an expression, and the lets it needs before it.
func (b *unitBuilder) expression(n *yamldoc.Node, p part, path string) *leaf {
	source := n.Text[p.from:p.to]
	report := func(faults []expr.Fault) { b.c.report(b.file, n, p, faults) }
	b.c.seen[seenKey{n, p.from}] = true
	x := b.scope.compile(source)
	b.file.readArguments(source, x)
	if x.faults != nil {
		report(x.faults)
		return nil
	}
	names := x.expr.Names()
	for _, name := range names {
		b.need(name)
		b.used[name] = true
	}
	b.binder.Probe = b.probe(n, p)
	bound, faults := x.expr.Bind(b.binder)
	if len(faults) > 0 {
		report(faults)
		return nil
	}
	l := &leaf{bound, &Field{Path: path, Pos: n.PosAt(p.from), Reads: bound.Reads, Source: source, Names: names}}
	return b.c.points.observed(l)
}

// remember makes the value of a leaf of a twofold tree a variable of its own.
func (b *unitBuilder) remember(n *yamldoc.Node, p part, l *leaf) *leaf {
	if l.bound.Const != nil || l.bound.Plain {
		return l
	}
	key := seenKey{n, p.from}
	i, ok := b.remembered[key]
	if !ok {
		v := l.bound.Variable("@"+strconv.Itoa(len(b.remembered)), l.field)
		for _, name := range l.field.Names {
			if b.dependsOnGiven[name] {
				v.DependsOn = []int{0, 1}
			}
		}
		i = b.vars.Add(v)
		b.remembered[key] = i
	}
	return &leaf{l.bound.Remembered(i), l.field}
}

// need compiles the let of a name, once, after the lets that it needs itself.
func (b *unitBuilder) need(name string) {
	i := slices.IndexFunc(b.lets, func(l let) bool { return l.name == name })
	if i < 0 {
		return
	}
	l := b.lets[i]
	switch b.state[name] {
	case resolved:
		return
	case resolving:
		b.c.fault(l.key.Diag(diag.Error, "let-cycle", "", "the value of %q depends on itself", name))
		return
	}
	b.state[name] = resolving
	defer func() { b.state[name] = resolved }()
	// What a filter needs is a value of the mapping all the same.
	scope, lenient, used := b.scope, b.binder.Lenient, b.used
	b.scope, b.binder.Lenient, b.used = b.c.scope(b.names), false, map[string]bool{}
	v := b.variable(l)
	for other := range b.used {
		b.dependsOnGiven[name] = b.dependsOnGiven[name] || b.dependsOnGiven[other]
	}
	b.scope, b.binder.Lenient, b.used = scope, lenient, used
	if b.dependsOnGiven[name] {
		v.DependsOn = []int{0, 1}
	}
	v.Inline = v.Inline || b.once[name]
	b.vars.Add(v)
}

// variable compiles the value of a let: an expression, an interpolation, or a tree.
func (b *unitBuilder) variable(l let) expr.Variable {
	path := "let " + l.name
	if isExpression(l.value.node) {
		lf := b.leafOf(l.value.node, path)
		if lf == nil {
			return expr.Variable{Name: l.name}
		}
		return lf.bound.Variable(l.name, lf.field)
	}
	s := b.treeSegment(l.value, path, b.twofold[l.name])
	if s == nil {
		return expr.Variable{Name: l.name}
	}
	if c := s.constant(); c != nil {
		return expr.Variable{Name: l.name, Eval: func(*expr.Frame) expr.Value { return *c }, Const: c}
	}
	return expr.Variable{Name: l.name, Eval: s.value, ASCII: s.asciiWriter}
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	if strings.ContainsAny(key, ".:/") {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	return path + "." + key
}
