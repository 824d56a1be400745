package expr

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
)

// lowered is a node of the syntax tree made ready; konst is set where its value is known, fails where it is known to
// have none.
type lowered struct {
	node  Node
	konst *Value
	fails *Failure
	// write, where set, is a cheaper way to the text of the value.
	write TextWriter
	// plain is true for accessors of one place.
	plain bool
	// values, of a call of values(), is the node of its argument.
	values Node
}

func constant(v Value) lowered {
	v = v.detached()
	return lowered{node: func(*Frame) Value { return v }, konst: &v}
}

type lowering struct {
	b      *Binder
	x      *Expr
	faults []Fault
}

// lower compiles a node to a closure; false where only cel-go can evaluate it.
func (l *lowering) lower(e ast.Expr) (lowered, bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		if _, unsigned := e.AsLiteral().(types.Uint); unsigned {
			return lowered{}, false // computes otherwise than a whole number
		}
		v := fromCEL(e.AsLiteral())
		return constant(v), v.kind != Failed
	case ast.IdentKind:
		return l.name(e.AsIdent())
	case ast.ListKind:
		return l.list(e.AsList().Elements())
	case ast.MapKind:
		return l.object(e.AsMap())
	case ast.CallKind:
		return l.call(e)
	}
	return lowered{}, false
}

func (l *lowering) name(name string) (lowered, bool) {
	if i, ok := l.b.Vars.Index(name); ok {
		if c := l.b.Vars.defs[i].Const; c != nil {
			return constant(*c), true
		}
		if l.b.Uses != nil {
			l.b.Uses[name]++
		}
		if def := &l.b.Vars.defs[i]; def.Inline && def.Eval != nil {
			n := lowered{node: inlined(def.Eval, def.Origin)}
			if def.write != nil {
				n.write = inlinedWriter(def.write, def.Origin)
			}
			return n, true
		}
		return lowered{node: func(f *Frame) Value { return f.variable(i) }}, true
	}
	if v, ok := l.b.Vars.consts[name]; ok {
		return constant(v), true
	}
	if name == eventName {
		return lowered{node: func(f *Frame) Value { return JSONValue(f.json) }}, true
	}
	return lowered{}, false
}

func (l *lowering) all(list []ast.Expr) (nodes []lowered, constants, ok bool) {
	constants, ok = true, true
	for _, e := range list {
		n, fine := l.lower(e)
		ok = ok && fine
		constants = constants && n.konst != nil
		nodes = append(nodes, n)
	}
	return nodes, constants, ok
}

// call lowers a function of the library, an operator, or one of the few standard functions that mappings use.
func (l *lowering) call(e ast.Expr) (lowered, bool) {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	if c.FunctionName() == fnObject {
		return l.lower(args[0])
	}
	if c.FunctionName() == fnJSONASCII && len(args) == 1 && args[0].Kind() == ast.IdentKind {
		if n, ok := l.treeAsASCII(args[0].AsIdent()); ok {
			return n, true
		}
	}
	fn, ours := functionsByName[c.FunctionName()]
	if !ours || c.IsMemberFunction() {
		return l.operator(e, c.FunctionName(), args)
	}
	nodes, constants, ok := l.all(args)
	if !ok {
		return lowered{}, false
	}
	l.checkMember(e, fn.Name, nodes)
	if len(nodes) == 2 {
		if n, ok := l.selection(fn.Name, nodes); ok {
			return n, true
		}
	}
	if fn.node != nil && constants {
		node, err := l.b.accessor(fn, nodes)
		if err != nil {
			l.faults = append(l.faults, l.x.fault(e, "bad-argument", fn.Name+": "+err.Error()))
			return lowered{}, false
		}
		return lowered{node: node, plain: len(nodes) == 1}, true
	}
	run, err := l.b.prepare(fn, nodes)
	if err != nil {
		l.faults = append(l.faults, l.x.fault(e, "bad-argument", fn.Name+": "+err.Error()))
		return lowered{}, false
	}
	reads := fn.Group == "Reading the event" || fn.Name == fnEvent || fn.Name == fnHasEvent
	if fn.until != nil {
		node := firstNode(fn.until, nodes)
		if constants {
			return l.fold(node)
		}
		return lowered{node: node}, true
	}
	if constants && !fn.impure && !reads {
		return l.fold(l.b.callNode(fn, run, nodes))
	}
	n := lowered{node: l.b.callNode(fn, run, nodes)}
	if fn.Name == fnValues {
		n.values = nodes[0].node
	}
	if fn.write != nil && l.b.Probe == nil {
		n.write = fn.write(nodes)
		if slices.ContainsFunc(nodes, func(a lowered) bool { return a.write != nil }) {
			n.node = textNode(n.write)
		}
	}
	return n, true
}

// treeAsASCII lowers json_ascii(name) for a variable that can write itself in that form.
func (l *lowering) treeAsASCII(name string) (lowered, bool) {
	i, ok := l.b.Vars.Index(name)
	if !ok || l.b.Probe != nil {
		return lowered{}, false
	}
	def := &l.b.Vars.defs[i]
	if def.Const != nil || def.ASCII == nil {
		return lowered{}, false
	}
	write := def.ASCII()
	if write == nil {
		return lowered{}, false
	}
	if l.b.Twofold != nil {
		l.b.Twofold[name] = true
	}
	return lowered{node: textNode(write), write: write}, true
}

// selection lowers value.key, and values(…)[n], which need not make the list of values first.
func (l *lowering) selection(function string, args []lowered) (lowered, bool) {
	if args[1].konst == nil || args[0].konst != nil {
		return lowered{}, false
	}
	switch key := *args[1].konst; {
	case function == fnField:
		k := event.KeyOf(key.str())
		return lowered{node: oneNode(func(f *Frame, v Value) Value { return f.member(v, k) }, args[0].node)}, true
	case function == fnIndex && key.kind == Int && args[0].values != nil:
		n := key.int()
		return lowered{node: oneNode(func(f *Frame, v Value) Value {
			if v.kind != Object && v.kind != Null {
				return wrongKind("values", "an object", v)
			}
			return f.item(v, n)
		}, args[0].values)}, true
	}
	return lowered{}, false
}

// callNode is the node of a call, in the cheapest form that the function has.
func (b *Binder) callNode(fn *Function, run implementation, args []lowered) Node {
	switch {
	case fn.one != nil:
		return oneNode(fn.one, args[0].node)
	case fn.two != nil && args[1].konst != nil:
		return twoConstNode(fn.two, args[0].node, *args[1].konst)
	case fn.two != nil:
		return twoNode(fn.two, args[0].node, args[1].node)
	}
	return applyNode(run, args)
}

// fold evaluates a node that needs no event. A failure stays where it is: the branch may never be taken.
func (l *lowering) fold(n Node) (lowered, bool) {
	f := NewFrame(nil)
	f.scope = l.b.Vars
	v := n(f)
	if v.kind == Failed {
		return lowered{node: n, fails: v.Failure()}, true
	}
	return constant(v), true
}

// checkMember reports members that a constant object, such as settings or a table, does not have.
func (l *lowering) checkMember(e ast.Expr, function string, args []lowered) {
	if l.b.Lenient || function != fnField && function != fnIndex || len(args) != 2 {
		return
	}
	object, key := args[0].konst, args[1].konst
	if object == nil || key == nil || object.kind == Null || key.kind != Text {
		return
	}
	if object.kind != Object {
		l.faults = append(l.faults, l.x.fault(e, "unknown-member", fmt.Sprintf("%s has no member %q", object.kind, key.str())))
		return
	}
	if _, ok := lookupMember(*object, key.str()); ok {
		return
	}
	f := l.x.fault(e, "unknown-member", fmt.Sprintf("there is no member %q here", key.str()))
	var keys []string
	for k := range members(*object) {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if s := diag.Suggest(key.str(), keys); s != "" {
		f.Hint = fmt.Sprintf("did you mean %q?", s)
	} else if len(keys) <= 12 {
		f.Hint = fmt.Sprintf("it has %q", keys)
	}
	l.faults = append(l.faults, f)
}

// prepare makes the implementation of a call whose constant arguments are known.
func (b *Binder) prepare(fn *Function, args []lowered) (implementation, error) {
	if fn.bind == nil {
		return fn.run, nil
	}
	consts, err := fn.constants(args)
	if err != nil {
		return nil, err
	}
	return fn.bind(b, consts)
}

// accessor makes the node of a call whose arguments are all literal.
func (b *Binder) accessor(fn *Function, args []lowered) (Node, error) {
	consts, err := fn.constants(args)
	if err != nil {
		return nil, err
	}
	return fn.node(b, consts)
}

// constants are the arguments that are known, nil for those that are not.
func (fn *Function) constants(args []lowered) ([]*Value, error) {
	consts := make([]*Value, len(args))
	for i, a := range args {
		consts[i] = a.konst
		if fn.param(i).Literal && (a.konst == nil || a.konst.kind != Text) {
			return nil, fmt.Errorf("the %s must be a literal text", fn.param(i).Name)
		}
	}
	return consts, nil
}
