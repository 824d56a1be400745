package mapping

import (
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
