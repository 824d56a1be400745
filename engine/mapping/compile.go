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
	// pos is where the alternatives stand.
	pos diag.Position
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
	place     *Field // of the statement as a whole
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
	// seen are the expressions that were compiled for some event.
	seen   map[seenKey]bool
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
	return &compiler{opt: opt, points: newPoints(opt.Trace), scopes: map[string]*scope{}, seen: map[seenKey]bool{}, consts: map[string]expr.Value{"settings": expr.JSONValue(settings)}}
}

func (c *compiler) fault(d *diag.Diagnostic) { c.faults = append(c.faults, d) }

// enabled tells whether the events of a file are mapped: its "enabled", an expression of settings alone, says so.
func (c *compiler) enabled(f *file) bool {
	n := f.doc.Enabled
	if n == nil {
		return true
	}
	if n.Tag == yamldoc.Bool {
		return strings.EqualFold(n.Text, "true")
	}
	if !isExpression(n) {
		c.fault(n.Diag(diag.Error, "bad-type", "enabled", "enabled takes one ${…} that is true or false, of settings alone"))
		return false
	}
	scope := c.scope([]string{"settings"})
	if scope == nil {
		return false
	}
	parts, _ := split(n.Text)
	p := parts[0]
	x, faults := scope.names.Compile(n.Text[p.from:p.to])
	v := expr.NullValue
	if len(faults) == 0 {
		vars := expr.NewVariables(map[string]expr.Value{"settings": c.consts["settings"]})
		var bound expr.Bound
		bound, faults = x.Bind(&expr.Binder{Scanner: event.NewScanner(), Vars: vars})
		switch {
		case len(faults) > 0:
		case bound.Const == nil:
			c.fault(n.Diag(diag.Error, "bad-type", "enabled", "enabled must not depend on the event"))
			return false
		default:
			v = *bound.Const
		}
	}
	for _, fault := range faults {
		d := n.DiagAt(p.from+fault.From, p.from+fault.To, diag.Error, fault.Code, "enabled", "%s", fault.Message)
		d.Hint = fault.Hint
		c.fault(d)
	}
	if len(faults) > 0 {
		return false
	}
	on, ok := v.Bool()
	if !ok {
		c.fault(n.Diag(diag.Error, "expr-type", "enabled", "enabled must be true or false, it is %s", v.Kind()))
	}
	return on
}

// program compiles the statements of one event.
func (c *compiler) program(f *file, ev eventEntry) *program {
	p := &program{name: ev.name, scanner: event.NewScanner(), pos: f.alternativesNode().Pos()}
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
	before := len(c.faults)
	for i, alt := range alternatives {
		var faults diag.List
		b := &unitBuilder{c: c, file: f, consts: consts, scanner: p.scanner, prune: f.prune}
		b.lets, faults = addLets(f.lets, alt.Let, faults)
		statement, faults := overlay(f.statement, alt.Statement, faults)
		c.faults = append(c.faults, faults...)
		if statement == nil && len(faults) == 0 && len(f.doc.Alternatives) > 0 && !f.doubtful {
			c.fault(f.alternativeNode(i).Diag(diag.Error, "no-statement", "", "there is no statement, neither here nor in the file"))
		}
		u := b.build(statement, alt.When, nil)
		if u == nil {
			continue
		}
		if i < len(f.reached) {
			f.reached[i] = true
		}
		u.name, u.node = alt.Name, f.alternativeNode(i)
		c.points.alternative(f, ev, u)
		p.alternatives = append(p.alternatives, u)
		children := alt.Children
		if children == nil {
			children = f.doc.Children
		}
		if children != nil {
			u.children = c.children(f, children, f.childrenNode(i), statement, b)
		}
		if u.when == nil && len(c.faults) == before {
			break // it is taken always
		}
	}
	f.unsure = f.unsure || len(c.faults) > before
	if len(p.alternatives) == 0 && len(c.faults) == before && !f.doubtful {
		c.fault(ev.key.Diag(diag.Error, "unreachable", "", "the event takes none of the alternatives of the file"))
	}
	return p
}

func (c *compiler) children(f *file, ch *childrenOf, node *yamldoc.Node, parent *tree, outer *unitBuilder) *unit {
	var faults diag.List
	b := &unitBuilder{c: c, file: f, consts: outer.consts, scanner: outer.scanner, prune: outer.prune, given: []string{"item", "key"}}
	b.lets, faults = addLets(outer.lets, ch.Let, faults)
	statement, faults := overlay(parent, ch.Statement, faults)
	c.faults = append(c.faults, faults...)
	if !isExpression(ch.ForEach) {
		at := ch.ForEach
		if at == nil {
			at = node
		}
		if ch.ForEach == nil && f.doubtful {
			return nil // it may be misspelled
		}
		d := at.Diag(diag.Error, "bad-type", "children.for_each", "for_each takes one ${…} that gives a list or an object")
		d.Hint = lineBreakHint(at)
		c.fault(d)
		return nil
	}
	return b.build(statement, nil, ch.ForEach)
}

// childrenNode is where the children of an alternative stand.
func (f *file) childrenNode(i int) *yamldoc.Node {
	for _, n := range []*yamldoc.Node{f.alternativeNode(i).Get("children"), f.root.Get("children")} {
		if n != nil {
			return n
		}
	}
	return f.root
}

func (f *file) alternativesNode() *yamldoc.Node {
	if list := f.root.Get("alternatives"); list != nil {
		return list
	}
	return f.root
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
	file    *file
	lets    []let
	given   []string
	consts  map[string]expr.Value
	scanner *event.Scanner
	prune   pruning
	// uses counts the uses of lets in the first pass, once holds those that have one in the second.
	uses map[string]int
	once map[string]bool

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
	b.uses, b.once = map[string]int{}, nil
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
	b.binder = &expr.Binder{Scanner: b.scanner, Vars: b.vars, Uses: b.uses}
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
	v.Inline = b.once[name]
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
