package mapping

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/yamldoc"
)

// segment writes one value of a statement. Constants are ready bytes; every member is written with a comma behind
// it, which the end of its object or list takes away.
type segment struct {
	ops   []op
	prune pruning
}

type opKind uint8

const (
	opBytes  opKind = iota // constant bytes
	opValue                // the value of an expression
	opText                 // text with the values of expressions in it
	opOpen                 // begin of an object or list that may turn out empty
	opClose                // its end
	opEnd                  // end of one that is never empty
	opWhen                 // skips an object
	opFilter               // a value that filters change
)

type op struct {
	kind  opKind
	bytes []byte // what comes first: the constant, or the key of a member
	leaf  *leaf
	parts []textPart
	id    bool // the statement's id
	keep  bool // of opClose: stays when empty
	close byte // of opClose and opEnd: } or ]
	jump  int  // of opWhen: how many ops the object takes
	block *filterBlock
}

type textPart struct {
	literal []byte // escaped for JSON
	leaf    *leaf
}

// segment compiles a tree; nil after a fault.
func (b *unitBuilder) segment(t *tree, path string) *segment { return b.treeSegment(t, path, false) }

// treeSegment is segment for a tree that may be one of two forms.
func (b *unitBuilder) treeSegment(t *tree, path string, twofold bool) *segment {
	before := len(b.c.faults)
	w := &segmentWriter{b: b, twofold: twofold}
	if path != "" { // of a let, which may not be needed, or of a filter
		w.unsure++
	}
	w.value(nil, t, path, path == "")
	if len(b.c.faults) > before {
		return nil
	}
	return &segment{ops: mergeBytes(w.ops), prune: b.prune}
}

type segmentWriter struct {
	b   *unitBuilder
	ops []op
	// fence is how many ops must stay as they are: a condition may skip the last of them.
	fence int
	// twofold is true in a tree of which there are two forms.
	twofold bool
	// unsure counts the conditions around: what fails inside of them may never be reached.
	unsure int
}

// value writes a value behind its key and tells whether it is there for every event.
func (w *segmentWriter) value(key []byte, t *tree, path string, root bool) (sure bool) {
	switch t.node.Kind {
	case yamldoc.Mapping:
		return w.object(key, t, path, root)
	case yamldoc.Sequence:
		return w.list(key, t, path)
	}
	return w.scalar(key, t.node, path)
}

func (w *segmentWriter) bytes(parts ...[]byte) {
	w.ops = append(w.ops, op{kind: opBytes, bytes: bytes.Join(parts, nil)})
}

var comma = []byte{','}

func (w *segmentWriter) object(key []byte, t *tree, path string, root bool) (sure bool) {
	whenAt := -1
	if t.when != nil {
		parts, _ := split(t.when.Text)
		l := w.expression(t.when, parts[0], path)
		if l == nil {
			return false
		}
		if l.bound.Const == nil {
			whenAt = len(w.ops)
			w.ops = append(w.ops, op{kind: opWhen, leaf: l})
			w.unsure++
			defer func() { w.unsure-- }()
		} else if truth, ok := l.bound.Const.Bool(); !ok {
			w.b.c.fault(t.when.Diag(diag.Error, "expr-type", "", "$when must be true or false"))
			return false
		} else if !truth {
			return false
		}
	}
	sure = w.filtered(key, t, path, root)
	if whenAt >= 0 {
		w.ops[whenAt].jump = len(w.ops) - whenAt
		w.fence = len(w.ops)
		return false
	}
	return sure
}

// filtered writes an object through the filters of its extension points, if there are any.
func (w *segmentWriter) filtered(key []byte, t *tree, path string, root bool) (sure bool) {
	w.b.c.note(t.filter)
	steps := w.b.filters(t.filter)
	if len(steps) == 0 {
		return w.body(key, t, path, root)
	}
	inner := &segmentWriter{b: w.b, unsure: w.unsure, twofold: w.twofold}
	inner.body(nil, t, path, root)
	result, _ := w.b.vars.Index("result")
	w.ops = append(w.ops, op{kind: opFilter, bytes: key, block: &filterBlock{
		body: &segment{ops: mergeBytes(inner.ops), prune: w.b.prune}, steps: steps, result: result}})
	return false
}

// body writes the members of an object, or its $value.
func (w *segmentWriter) body(key []byte, t *tree, path string, root bool) (sure bool) {
	if t.value != nil {
		return w.value(key, t.value, path, root)
	}
	if len(t.members) == 0 && !t.keep {
		return false
	}
	start := len(w.ops)
	w.ops = append(w.ops, op{kind: opOpen, bytes: append(key[:len(key):len(key)], '{')})
	for _, m := range t.members {
		memberKey := append(expr.AppendString(nil, m.key), ':')
		n := len(w.ops)
		if w.value(memberKey, m.value, joinPath(path, m.key), false) {
			sure = true
		}
		if root && m.key == "id" && len(w.ops) > n {
			w.ops[n].id = true
		}
	}
	w.close(start, sure, '}', t.keep || w.b.prune == pruneEmpties)
	return sure || t.keep || w.b.prune == pruneEmpties
}

func (w *segmentWriter) close(start int, sure bool, closing byte, keep bool) {
	if !sure {
		w.ops = append(w.ops, op{kind: opClose, close: closing, keep: keep})
		return
	}
	w.ops[start].kind = opBytes
	if last := &w.ops[len(w.ops)-1]; len(w.ops) > w.fence && last.kind == opBytes && bytes.HasSuffix(last.bytes, comma) {
		last.bytes = append(last.bytes[:len(last.bytes)-1:len(last.bytes)-1], closing, ',')
		return
	}
	w.ops = append(w.ops, op{kind: opEnd, close: closing})
}

func (w *segmentWriter) list(key []byte, t *tree, path string) (sure bool) {
	start := len(w.ops)
	w.ops = append(w.ops, op{kind: opOpen, bytes: append(key[:len(key):len(key)], '[')})
	for i, item := range t.items {
		if w.value(nil, item, path+"["+strconv.Itoa(i)+"]", false) {
			sure = true
		}
	}
	w.close(start, sure, ']', false)
	return sure
}

func (w *segmentWriter) scalar(key []byte, n *yamldoc.Node, path string) (sure bool) {
	parts, bad := split(n.Text)
	if bad >= 0 {
		w.b.c.fault(n.DiagAt(bad, bad+2, diag.Error, "expr-syntax", "", "the ${ is never closed"))
		return false
	}
	if n.Tag != yamldoc.String || len(parts) == 0 || len(parts) == 1 && !parts[0].isExpr {
		v := expr.JSONValue(string(n.AppendJSON(nil)))
		if n.Tag == yamldoc.String && len(parts) == 1 {
			v = expr.TextValue(parts[0].literal)
		}
		if w.b.c.points != nil {
			return w.literal(key, n, v, path)
		}
		return w.constant(key, v)
	}
	if len(parts) == 1 {
		if t := w.b.onlyUse(n.Text[parts[0].from:parts[0].to]); t != nil {
			twofold := w.twofold
			w.twofold = w.b.twofold[t.name]
			sure = w.value(key, t.value, "let "+t.name, false)
			w.twofold = twofold
			return sure
		}
		l := w.expression(n, parts[0], path)
		if l == nil {
			return false
		}
		if l.bound.Const != nil {
			return w.constant(key, *l.bound.Const)
		}
		if failure := l.bound.Fails; failure != nil && w.unsure == 0 {
			w.b.c.fault(n.DiagAt(parts[0].from, parts[0].to, diag.Error, "expr-type", "", "the expression fails for every event: %s", failure.Reason))
		}
		w.ops = append(w.ops, op{kind: opValue, bytes: key, leaf: l})
		return false
	}
	return w.interpolation(key, n, parts, path)
}

func (w *segmentWriter) expression(n *yamldoc.Node, p part, path string) *leaf {
	l := w.b.expression(n, p, path)
	if l != nil && w.twofold {
		l = w.b.remember(n, p, l)
	}
	return l
}

// onlyUse is the let that an expression names, where this is its only use and its value is a tree: the tree is then
// written in its place.
func (b *unitBuilder) onlyUse(source string) *let {
	name := strings.TrimSpace(source)
	if !b.once[name] {
		return nil
	}
	for i := range b.lets {
		if l := &b.lets[i]; l.name == name && l.value.isObject() {
			return l
		}
	}
	return nil
}

func (w *segmentWriter) constant(key []byte, v expr.Value) (sure bool) {
	if v.IsNull() || w.b.prune == pruneEmpties && isEmpty(v) {
		return false
	}
	w.bytes(key, v.AppendJSON(nil), comma)
	return true
}

func (w *segmentWriter) interpolation(key []byte, n *yamldoc.Node, parts []part, path string) (sure bool) {
	o := op{kind: opText, bytes: append(key[:len(key):len(key)], '"')}
	var pending []byte
	for _, p := range parts {
		if !p.isExpr {
			pending = expr.AppendEscaped(pending, p.literal)
			continue
		}
		l := w.expression(n, p, path)
		if l == nil {
			return false
		}
		if c := l.bound.Const; c != nil {
			text, ok := c.AppendText(nil)
			if c.IsNull() {
				return false
			}
			if !ok {
				w.b.c.fault(n.DiagAt(p.from, p.to, diag.Error, "expr-type", "", "%s cannot stand inside text", c.Kind()))
				return false
			}
			pending = expr.AppendEscaped(pending, string(text))
			continue
		}
		o.parts = append(o.parts, textPart{literal: pending, leaf: l})
		pending = nil
	}
	if len(o.parts) == 0 {
		w.bytes(o.bytes, pending, []byte(`",`))
		return true
	}
	o.parts = append(o.parts, textPart{literal: append(pending, '"')})
	w.ops = append(w.ops, o)
	return false
}

// mergeBytes joins neighbouring constants; the jumps of opWhen are mended.
func mergeBytes(ops []op) []op {
	place := make([]int, len(ops)+1) // old index → new index
	targets := map[int]bool{}        // old indexes that something jumps to: nothing is joined across them
	for i, o := range ops {
		if o.kind == opWhen {
			targets[i+o.jump] = true
		}
	}
	var out []op
	for i, o := range ops {
		if last := len(out) - 1; o.kind == opBytes && last >= 0 && out[last].kind == opBytes && !targets[i] && !o.id && !out[last].id {
			out[last].bytes = append(out[last].bytes[:len(out[last].bytes):len(out[last].bytes)], o.bytes...)
			place[i] = last
			continue
		}
		place[i] = len(out)
		out = append(out, o)
	}
	place[len(ops)] = len(out)
	for i, o := range ops {
		if o.kind == opWhen {
			out[place[i]].jump = place[i+o.jump] - place[i]
		}
	}
	return out
}

// constant is the value of a segment that needs no event, nil otherwise.
func (s *segment) constant() *expr.Value {
	if len(s.ops) == 0 {
		v := expr.NullValue
		return &v
	}
	if len(s.ops) != 1 || s.ops[0].kind != opBytes {
		return nil
	}
	v := expr.JSONValue(string(bytes.TrimSuffix(s.ops[0].bytes, comma)))
	return &v
}

func isEmpty(v expr.Value) bool {
	switch v.Kind() {
	case expr.Null:
		return true
	case expr.Text:
		s, _ := v.Text()
		return s == ""
	case expr.Object, expr.List:
		return len(bytes.TrimSpace([]byte(v.Raw()[1:len(v.Raw())-1]))) == 0
	}
	return false
}
