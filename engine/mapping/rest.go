package mapping

import (
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/yamldoc"
)

// maxExtends ends walks over files that extend one another in a cycle, which is reported elsewhere.
const maxExtends = 100

// seenKey is an expression: a scalar and where in its text the expression begins.
type seenKey struct {
	node *yamldoc.Node
	from int
}

// compile compiles a source once.
func (s *scope) compile(source string) *compiled {
	x, ok := s.exprs[source]
	if !ok {
		x = &compiled{}
		x.expr, x.faults = s.names.Compile(source)
		s.exprs[source] = x
	}
	return x
}

// report places the faults of an expression in its file.
func (c *compiler) report(file *file, n *yamldoc.Node, p part, faults []expr.Fault) {
	for _, f := range faults {
		if f.Code == "unknown-name" && (file.broken || file.doubtful) {
			file.unsure = true
			continue // it may be in the part that could not be read
		}
		d := n.DiagAt(p.from+f.From, p.from+f.To, diag.Error, f.Code, "", "%s", f.Message)
		d.Hint = f.Hint
		c.fault(d)
	}
}

// readArguments notes which arguments of events an expression reads.
func (f *file) readArguments(source string, x *compiled) {
	if x.expr == nil {
		f.readsAll = f.readsAll || strings.Contains(source, "args")
		return
	}
	keys, whole := x.expr.Members("args")
	f.readsAll = f.readsAll || whole
	for _, key := range keys {
		f.reads[key] = true
	}
}

// unreached reports the alternatives of a file that none of its events takes.
func (c *compiler) unreached(f *file) {
	if f.broken || f.doubtful || f.unsure || len(f.events) == 0 {
		return
	}
	for i, alt := range f.doc.Alternatives {
		if f.reached[i] {
			continue
		}
		at, why := f.alternativeNode(i), "none of the events of the file takes it"
		if alt.When != nil {
			at = alt.When
		}
		for j, earlier := range f.doc.Alternatives[:i] {
			if earlier.When == nil {
				at, why = f.alternativeNode(i), "the one before it has no when, so that it is always taken"
				if j < i-1 {
					why = "one before it has no when, so that it is always taken"
				}
				break
			}
		}
		c.fault(at.Diag(diag.Error, "unreachable", "", "the alternative is never reached: %s", why))
	}
}

// rest checks what was compiled for no event: values that nothing uses, statements that files replace which extend
// them, and arguments that nothing reads.
func (c *compiler) rest(files []*file) {
	for _, f := range files {
		if f.root == nil {
			continue
		}
		names := []string{"args", "name", "settings", "tables", "item", "key"}
		for _, other := range files {
			if other.extends(f) {
				names = other.allNames(names)
			}
		}
		s := c.scope(names)
		if s == nil {
			return
		}
		for _, key := range []string{"let", "statement", "alternatives", "children"} {
			scalars(f.root.Get(key), func(n *yamldoc.Node) { c.restOf(f, s, n) })
		}
	}
	for _, f := range files {
		c.unreadArguments(f, files)
	}
}

func (c *compiler) restOf(f *file, s *scope, n *yamldoc.Node) {
	parts, bad := split(n.Text)
	if bad >= 0 {
		c.fault(n.DiagAt(bad, bad+2, diag.Error, "expr-syntax", "", "the ${ is never closed"))
		return
	}
	for _, p := range parts {
		if !p.isExpr || c.seen[seenKey{n, p.from}] {
			continue
		}
		source := n.Text[p.from:p.to]
		x := s.compile(source)
		f.readArguments(source, x)
		c.report(f, n, p, x.faults)
	}
}

// unreadArguments reports the arguments of events that no expression reads, as misspelled ones are.
func (c *compiler) unreadArguments(f *file, files []*file) {
	var known []string
	for _, other := range files {
		if !f.extends(other) {
			continue
		}
		if other.readsAll || other.broken || other.doubtful {
			return
		}
		for key := range other.reads {
			known = append(known, key)
		}
	}
	for _, ev := range f.events {
		if ev.args == nil {
			continue
		}
		for _, e := range ev.args.Entries {
			if !slices.Contains(known, e.Key.Text) {
				d := e.Key.Diag(diag.Error, "unknown-argument", "", "no expression reads the argument %q", e.Key.Text)
				d.Hint = diag.DidYouMean(e.Key.Text, known)
				c.fault(d)
			}
		}
	}
}

// extends tells whether a file is another one or extends it, directly or not.
func (f *file) extends(other *file) bool {
	for depth := 0; f != nil && depth < maxExtends; depth++ {
		if f == other {
			return true
		}
		f = f.base
	}
	return false
}

// allNames adds the names of all lets of a file, wherever they are.
func (f *file) allNames(names []string) []string {
	if f.root == nil {
		return names
	}
	add := func(n *yamldoc.Node) {
		if n == nil {
			return
		}
		for _, e := range n.Entries {
			if name := e.Key.Text; isName(name) && !expr.IsReserved(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	depth := 0
	for base := f; base != nil && base.root != nil && depth < maxExtends; base = base.base {
		add(base.root.Get("let"))
		depth++
	}
	add(f.root.Get("children").Get("let"))
	if list := f.root.Get("alternatives"); list != nil {
		for _, alt := range list.Items {
			add(alt.Get("let"))
			add(alt.Get("children").Get("let"))
		}
	}
	return names
}

// scalars calls fn for the texts of a YAML value.
func scalars(n *yamldoc.Node, fn func(n *yamldoc.Node)) {
	if n == nil {
		return
	}
	if n.Kind == yamldoc.Scalar && n.Tag == yamldoc.String {
		fn(n)
	}
	for _, e := range n.Entries {
		scalars(e.Value, fn)
	}
	for _, item := range n.Items {
		scalars(item, fn)
	}
}
