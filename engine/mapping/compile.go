package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/yamldoc"
)

// program is one event name, compiled.
type program struct {
	name         string
	scanner      *event.Scanner
	alternatives []*unit
}

// unit is a statement with the names it uses: an alternative, or the children of one.
type unit struct {
	name      string
	node      *yamldoc.Node // the alternative, or the whole file
	when      *leaf         // nil: always
	forEach   *leaf         // of children
	vars      *expr.Variables
	item, key int // indexes of the given variables of children
	statement *segment
	children  *unit
}

// Field is a place in a mapping that computes a value.
type Field struct {
	// Path is the value's place in the statement, such as "object.id", or "let course".
	Path string
	// Pos is where its expression stands.
	Pos diag.Position
	// Reads are the paths and keys of the event that the expression itself reads.
	Reads []string
	// Source is the text of the expression, or the literal.
	Source string
	// Names are the names that the expression uses, such as those of lets.
	Names []string
	// Literal is true for values without an expression; only a Set with Options.Trace has fields for them.
	Literal bool
}

// leaf is one expression with its place.
type leaf struct {
	bound expr.Bound
	field *Field
}

type compiler struct {
	opt    Options
	scopes map[string]*scope
	faults diag.List
	consts map[string]expr.Value
	points *Points // nil unless Options.Trace
	rules  []*filterRule
	// extensionPoints are those that the mappings have.
	extensionPoints []string
}

func (c *compiler) note(points []string) {
	for _, p := range points {
		if !slices.Contains(c.extensionPoints, p) {
			c.extensionPoints = append(c.extensionPoints, p)
		}
	}
}

// scope caches the expressions compiled with one set of names.
type scope struct {
	names *expr.Scope
	exprs map[string]*compiled
}

type compiled struct {
	expr   *expr.Expr
	faults []expr.Fault
}

func newCompiler(opt Options) *compiler {
	settings := opt.Settings
	if settings == "" {
		settings = "{}"
	}
	return &compiler{opt: opt, points: newPoints(opt.Trace), scopes: map[string]*scope{}, consts: map[string]expr.Value{"settings": expr.JSONValue(settings)}}
}

func (c *compiler) fault(d *diag.Diagnostic) { c.faults = append(c.faults, d) }

// program compiles the statements of one event.
func (c *compiler) program(f *file, ev eventEntry) *program {
	p := &program{name: ev.name, scanner: event.NewScanner()}
	consts := map[string]expr.Value{
		"settings": c.consts["settings"],
		"args":     f.arguments(ev),
		"tables":   constantTree(f.tables),
		"name":     expr.TextValue(ev.name),
	}
	alternatives := f.doc.Alternatives
	if len(alternatives) == 0 {
		alternatives = []alternative{{}}
	}
	for i, alt := range alternatives {
		if i > 0 && alternatives[i-1].When == nil {
			c.fault(f.alternativeNode(i).Diag(diag.Error, "unreachable", "", "the alternative is never reached: the one before it applies always"))
		}
		var faults diag.List
		b := &unitBuilder{c: c, consts: consts, scanner: p.scanner, prune: f.prune}
		b.lets, faults = addLets(f.lets, alt.Let, faults)
		statement, faults := overlay(f.statement, alt.Statement, faults)
		c.faults = append(c.faults, faults...)
		u := b.build(statement, alt.When, nil)
		if u == nil {
			continue
		}
		u.name, u.node = alt.Name, f.alternativeNode(i)
		c.points.alternative(f, ev, u)
		p.alternatives = append(p.alternatives, u)
		children := alt.Children
		if children == nil {
			children = f.doc.Children
		}
		if children != nil {
			u.children = c.children(f, children, statement, b)
		}
	}
	return p
}

func (c *compiler) children(f *file, ch *childrenOf, parent *tree, outer *unitBuilder) *unit {
	var faults diag.List
	b := &unitBuilder{c: c, consts: outer.consts, scanner: outer.scanner, prune: outer.prune, given: []string{"item", "key"}}
	b.lets, faults = addLets(outer.lets, ch.Let, faults)
	statement, faults := overlay(parent, ch.Statement, faults)
	c.faults = append(c.faults, faults...)
	if !isExpression(ch.ForEach) {
		at := ch.ForEach
		if at == nil {
			at = f.root
		}
		c.fault(at.Diag(diag.Error, "bad-type", "children.for_each", "for_each takes one ${…} that gives a list or an object"))
		return nil
	}
	return b.build(statement, nil, ch.ForEach)
}

func (f *file) alternativeNode(i int) *yamldoc.Node {
	if list := f.root.Get("alternatives"); list != nil && i < len(list.Items) {
		return list.Items[i]
	}
	return f.root
}

// arguments are the literals beside the event's name, with null for those that only other events of the file have.
func (f *file) arguments(ev eventEntry) expr.Value {
	out := []byte{'{'}
	var keys []string
	add := func(key string, value *yamldoc.Node) {
		if slices.Contains(keys, key) {
			return
		}
		keys = append(keys, key)
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(expr.AppendString(out, key), ':')
		if value == nil {
			out = append(out, "null"...)
		} else {
			out = value.AppendJSON(out)
		}
	}
	if ev.args != nil {
		for _, e := range ev.args.Entries {
			add(e.Key.Text, e.Value)
		}
	}
	for _, other := range f.events {
		if other.args != nil {
			for _, e := range other.args.Entries {
				add(e.Key.Text, nil)
			}
		}
	}
	return expr.JSONValue(string(append(out, '}')))
}

func constantTree(t *tree) expr.Value {
	if t == nil {
		return expr.JSONValue("{}")
	}
	return expr.JSONValue(string(appendLiteral(nil, t)))
}

func appendLiteral(dst []byte, t *tree) []byte {
	switch t.node.Kind {
	case yamldoc.Mapping:
		dst = append(dst, '{')
		for i, m := range t.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(expr.AppendString(dst, m.key), ':')
			dst = appendLiteral(dst, m.value)
		}
		return append(dst, '}')
	case yamldoc.Sequence:
		dst = append(dst, '[')
		for i, item := range t.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendLiteral(dst, item)
		}
		return append(dst, ']')
	}
	return t.node.AppendJSON(dst)
}

// scope returns the CEL scope for a set of names.
func (c *compiler) scope(names []string) *scope {
	names = slices.Clone(names)
	slices.Sort(names)
	key := strings.Join(names, " ")
	if s, ok := c.scopes[key]; ok {
		return s
	}
	s := &scope{exprs: map[string]*compiled{}}
	var err error
	if s.names, err = expr.NewScope(names, nil); err != nil {
		c.fault(&diag.Diagnostic{Severity: diag.Error, Code: "internal", Message: err.Error(), Err: err})
		return nil
	}
	c.scopes[key] = s
	return s
}

// unitBuilder compiles one unit.
type unitBuilder struct {
	c       *compiler
	lets    []let
	given   []string
	consts  map[string]expr.Value
	scanner *event.Scanner
	prune   pruning

	scope  *scope
	vars   *expr.Variables
	state  map[string]resolveState
	binder *expr.Binder
	// dependsOnGiven marks the lets that need item or key, directly or not.
	dependsOnGiven map[string]bool
}

func (b *unitBuilder) build(statement *tree, when, forEach *yamldoc.Node) *unit {
	names := []string{"args", "name", "settings", "tables"}
	for _, l := range b.lets {
		names = append(names, l.name)
	}
	names = append(names, b.given...)
	names = append(names, "result")
	u := &unit{vars: expr.NewVariables(b.consts)}
	b.scope, b.vars = b.c.scope(names), u.vars
	if b.scope == nil {
		return u
	}
	b.state, b.dependsOnGiven = map[string]resolveState{}, map[string]bool{}
	b.binder = &expr.Binder{Scanner: b.scanner, Vars: b.vars}
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
		b.c.fault(n.Diag(diag.Error, "bad-type", "", "when takes one ${…} that is true or false"))
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
	report := func(faults []expr.Fault) {
		for _, f := range faults {
			d := n.DiagAt(p.from+f.From, p.from+f.To, diag.Error, f.Code, "", "%s", f.Message)
			d.Hint = f.Hint
			b.c.fault(d)
		}
	}
	x, ok := b.scope.exprs[source]
	if !ok {
		x = &compiled{}
		x.expr, x.faults = b.scope.names.Compile(source)
		b.scope.exprs[source] = x
	}
	if x.faults != nil {
		report(x.faults)
		return nil
	}
	names := x.expr.Names()
	for _, name := range names {
		b.need(name)
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
	v := b.variable(l)
	for used := range b.namesOf(l.value) {
		if b.dependsOnGiven[used] {
			b.dependsOnGiven[name] = true
		}
	}
	if b.dependsOnGiven[name] {
		v.DependsOn = []int{0, 1}
	}
	b.vars.Add(v)
}

// namesOf are the names that the expressions of a tree use.
func (b *unitBuilder) namesOf(t *tree) map[string]bool {
	names := map[string]bool{}
	t.scalars(func(n *yamldoc.Node) {
		parts, _ := split(n.Text)
		for _, p := range parts {
			if x := b.scope.exprs[n.Text[p.from:p.to]]; p.isExpr && x != nil && x.expr != nil {
				for _, name := range x.expr.Names() {
					names[name] = true
				}
			}
		}
	})
	return names
}

// variable compiles the value of a let: an expression, an interpolation, or a tree.
func (b *unitBuilder) variable(l let) expr.Variable {
	path := "let " + l.name
	if isExpression(l.value.node) {
		lf := b.leafOf(l.value.node, path)
		if lf == nil {
			return expr.Variable{Name: l.name}
		}
		return expr.Variable{Name: l.name, Eval: lf.bound.Node, Const: lf.bound.Const, Origin: lf.field}
	}
	s := b.segment(l.value, path)
	if s == nil {
		return expr.Variable{Name: l.name}
	}
	if c := s.constant(); c != nil {
		return expr.Variable{Name: l.name, Eval: func(*expr.Frame) expr.Value { return *c }, Const: c}
	}
	return expr.Variable{Name: l.name, Eval: s.value}
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
