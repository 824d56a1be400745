package mapping

import (
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/yamldoc"
)

// tree is a YAML value after extends was applied: its members may come from several files.
type tree struct {
	node    *yamldoc.Node // where the value stands; positions come from here
	members []treeMember  // of a mapping
	items   []*tree       // of a sequence
	// directives of a mapping
	filter []string      // $filter: the extension points, in order
	when   *yamldoc.Node // $when: the object is there only where this is true
	value  *tree         // $value: what the object is, instead of members
	keep   bool          // $keep: the object stays as {} when all its members are absent
	// keepSet tells a $keep: false from none at all.
	keepSet bool
}

type treeMember struct {
	key   string
	node  *yamldoc.Node // the key
	value *tree
}

func (t *tree) isObject() bool { return t.node.Kind == yamldoc.Mapping }

// newTree reads a YAML value and its directives.
func newTree(n *yamldoc.Node) (t *tree, faults diag.List) {
	t = &tree{node: n}
	switch n.Kind {
	case yamldoc.Sequence:
		for _, item := range n.Items {
			sub, f := newTree(item)
			t.items = append(t.items, sub)
			faults = append(faults, f...)
		}
	case yamldoc.Mapping:
		for _, e := range n.Entries {
			if strings.Contains(e.Key.Text, "${") {
				d := e.Key.Diag(diag.Error, "bad-key", "", "a key cannot hold an expression")
				d.Hint = "an object with computed keys is an expression itself, such as merge(…) of two objects"
				faults = append(faults, d)
			}
			if !strings.HasPrefix(e.Key.Text, "$") || strings.HasPrefix(e.Key.Text, "${") {
				sub, f := newTree(e.Value)
				t.members = append(t.members, treeMember{e.Key.Text, e.Key, sub})
				faults = append(faults, f...)
				continue
			}
			faults = append(faults, t.directive(e)...)
		}
		if t.value != nil && len(t.members) > 0 {
			faults = append(faults, t.members[0].node.Diag(diag.Error, "bad-directive", "", "an object with $value has no members of its own"))
		}
	}
	return t, faults
}

func (t *tree) directive(e yamldoc.Entry) (faults diag.List) {
	bad := func(format string, args ...any) {
		faults = append(faults, e.Value.Diag(diag.Error, "bad-directive", "", format, args...))
	}
	switch e.Key.Text {
	case "$filter":
		items := e.Value.Items
		if e.Value.Kind != yamldoc.Sequence {
			items = []*yamldoc.Node{e.Value}
		}
		for _, item := range items {
			if item.Kind != yamldoc.Scalar || item.Text == "" || strings.Contains(item.Text, "${") {
				bad("$filter takes the name of an extension point, or a list of them")
				break
			}
			t.filter = append(t.filter, shortPoint(item.Text))
		}
	case "$when":
		if !isExpression(e.Value) {
			bad("$when takes one ${…} that is true or false")
			faults[len(faults)-1].Hint = lineBreakHint(e.Value)
			break
		}
		t.when = e.Value
	case "$value":
		var list diag.List
		t.value, list = newTree(e.Value)
		faults = append(faults, list...)
	case "$keep":
		if e.Value.Tag != yamldoc.Bool {
			bad("$keep is true or false")
		}
		t.keep, t.keepSet = strings.EqualFold(e.Value.Text, "true"), true
	default:
		d := e.Key.Diag(diag.Error, "unknown-key", "", "unknown directive %q", e.Key.Text)
		d.Hint = diag.DidYouMean(e.Key.Text, []string{"$filter", "$when", "$value", "$keep"})
		faults = append(faults, d)
	}
	return faults
}

// isExpression tells whether a scalar is one ${…} and nothing else.
func isExpression(n *yamldoc.Node) bool {
	if n == nil || n.Kind != yamldoc.Scalar {
		return false
	}
	parts, bad := split(n.Text)
	return bad < 0 && len(parts) == 1 && parts[0].isExpr
}

// lineBreakHint is for values that would be one ${…} but for the line break that ends a block.
func lineBreakHint(n *yamldoc.Node) string {
	if parts, bad := split(strings.TrimSpace(n.Text)); n.Kind == yamldoc.Scalar && bad < 0 && len(parts) == 1 && parts[0].isExpr {
		return "white space around it makes it text: write a block as >- or |-"
	}
	return ""
}

// merge lays over on under: objects are merged member by member, anything else is replaced. Members keep the place
// they have in under, new ones follow; null removes a member.
func merge(under, over *tree) *tree {
	if under == nil || over == nil || !under.isObject() || !over.isObject() {
		if over == nil {
			return under
		}
		return over
	}
	out := &tree{node: over.node, filter: under.filter, when: under.when, value: under.value, keep: under.keep, keepSet: under.keepSet}
	if over.value != nil || len(over.members) > 0 && under.value != nil {
		// A value and members exclude each other: the upper file decides.
		out.value = over.value
		under = &tree{node: under.node}
	}
	if over.filter != nil {
		out.filter = over.filter
	}
	if over.when != nil {
		out.when = over.when
	}
	if over.keepSet {
		out.keep, out.keepSet = over.keep, true
	}
	out.members = append(out.members, under.members...)
	for _, m := range over.members {
		out.put(m)
	}
	return out
}

func (t *tree) put(m treeMember) {
	for i := range t.members {
		if t.members[i].key == m.key {
			t.members[i] = treeMember{m.key, m.node, merge(t.members[i].value, m.value)}
			return
		}
	}
	t.members = append(t.members, m)
}

// scalars calls fn for every scalar of the tree and for the $when of its objects.
func (t *tree) scalars(fn func(n *yamldoc.Node)) {
	if t == nil {
		return
	}
	if t.when != nil {
		fn(t.when)
	}
	t.value.scalars(fn)
	if t.node.Kind == yamldoc.Scalar {
		fn(t.node)
	}
	for _, m := range t.members {
		m.value.scalars(fn)
	}
	for _, item := range t.items {
		item.scalars(fn)
	}
}
