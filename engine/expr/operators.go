package expr

import (
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/tidwall/gjson"
)

// operator lowers the operators and standard functions of CEL that mappings use; what they do is CEL's.
func (l *lowering) operator(e ast.Expr, name string, args []ast.Expr) (lowered, bool) {
	switch name {
	case operators.Conditional:
		return l.conditional(e, args)
	case operators.Add:
		return l.sum(e)
	case operators.In:
		return l.in(args)
	case "matches":
		return l.matches(args)
	}
	run, ok := standard[name]
	if !ok || len(args) != run.arity {
		return lowered{}, false
	}
	nodes, constants, ok := l.all(args)
	if !ok {
		return lowered{}, false
	}
	var node Node
	switch {
	case name == operators.LogicalAnd:
		node = l.logical(e, nodes[0].node, nodes[1].node, false)
	case name == operators.LogicalOr:
		node = l.logical(e, nodes[0].node, nodes[1].node, true)
	case run.arity == 1:
		a, one := nodes[0].node, run.one
		node = func(f *Frame) Value {
			v := a(f)
			if v.kind == Failed {
				return v
			}
			return one(v)
		}
	case (name == operators.Equals || name == operators.NotEquals) && nodes[1].konst != nil && (nodes[1].konst.kind == Null || nodes[1].konst.kind == Text):
		node = equalsConst(nodes[0].node, *nodes[1].konst, name == operators.Equals)
	default:
		a, b, two := nodes[0].node, nodes[1].node, run.two
		node = func(f *Frame) Value {
			v := a(f)
			if v.kind == Failed {
				return v
			}
			w := b(f)
			if w.kind == Failed {
				return w
			}
			return two(v, w)
		}
	}
	if constants && !(run.branches && l.b.Probe != nil) {
		return l.fold(node)
	}
	return lowered{node: node}, true
}

// equalsConst is == or != with null or a text on the right.
func equalsConst(a Node, c Value, want bool) Node {
	return func(f *Frame) Value {
		v := a(f)
		if v.kind == Failed {
			return v
		}
		return BoolValue((v.kind == c.kind && v.str() == c.str()) == want)
	}
}

type standardFunction struct {
	arity int
	// branches: not all of its arguments are always looked at
	branches bool
	one      func(v Value) Value
	two      func(v, w Value) Value
}

var standard = map[string]standardFunction{
	operators.LogicalAnd:    {arity: 2, branches: true},
	operators.LogicalOr:     {arity: 2, branches: true},
	operators.LogicalNot:    {arity: 1, one: not},
	operators.Equals:        {arity: 2, two: func(v, w Value) Value { return BoolValue(equal(v, w)) }},
	operators.NotEquals:     {arity: 2, two: func(v, w Value) Value { return BoolValue(!equal(v, w)) }},
	operators.Less:          {arity: 2, two: comparison("<", func(c int) bool { return c < 0 })},
	operators.LessEquals:    {arity: 2, two: comparison("<=", func(c int) bool { return c <= 0 })},
	operators.Greater:       {arity: 2, two: comparison(">", func(c int) bool { return c > 0 })},
	operators.GreaterEquals: {arity: 2, two: comparison(">=", func(c int) bool { return c >= 0 })},
	operators.Subtract:      {arity: 2, two: arithmetic("-", func(a, b float64) float64 { return a - b }, subtractInt)},
	operators.Multiply:      {arity: 2, two: arithmetic("*", func(a, b float64) float64 { return a * b }, multiplyInt)},
	operators.Divide:        {arity: 2, two: arithmetic("/", func(a, b float64) float64 { return a / b }, divideInt)},
	operators.Negate:        {arity: 1, one: negate},
	"size":                  {arity: 1, one: size},
	"double":                {arity: 1, one: toDouble},
	"startsWith":            {arity: 2, two: textTest("startsWith", strings.HasPrefix)},
	"endsWith":              {arity: 2, two: textTest("endsWith", strings.HasSuffix)},
	"contains":              {arity: 2, two: textTest("contains", strings.Contains)},
}

func (l *lowering) conditional(e ast.Expr, args []ast.Expr) (lowered, bool) {
	cond, ok := l.lower(args[0])
	if !ok {
		return lowered{}, false
	}
	if cond.konst != nil && l.b.Probe == nil {
		if truth, isBool := cond.konst.Bool(); isBool {
			taken, other := args[1], args[2]
			if !truth {
				taken, other = other, taken
			}
			// The branch never taken is checked too, but its look-ups are not made.
			shadow := &lowering{b: &Binder{Scanner: l.b.Scanner.Empty(), Vars: l.b.Vars}, x: l.x}
			shadow.lower(other)
			l.faults = append(l.faults, shadow.faults...)
			return l.lower(taken)
		}
	}
	yes, ok1 := l.lower(args[1])
	no, ok2 := l.lower(args[2])
	if !ok1 || !ok2 {
		return lowered{}, false
	}
	c, a, b := cond.node, l.probed(e, BranchTrue, yes.node), l.probed(e, BranchFalse, no.node)
	return lowered{node: func(f *Frame) Value {
		v := c(f)
		if v.kind != Bool {
			if v.kind == Failed {
				return v
			}
			return fail("the condition before \"?\" must be true or false, it is %s", v.kind)
		}
		if v.num != 0 {
			return a(f)
		}
		return b(f)
	}}, true
}

// logical is && (absorbing false) and || (absorbing true): a side that decides hides the failure of the other.
func logical(a, b Node, absorbing bool) Node {
	return func(f *Frame) Value {
		v := a(f)
		if v.kind == Bool && (v.num != 0) == absorbing {
			return v
		}
		w := b(f)
		switch {
		case w.kind == Bool && (w.num != 0) == absorbing:
			return w
		case v.kind == Failed:
			return v
		case w.kind == Failed:
			return w
		case v.kind != Bool:
			return fail("a side of && or || must be true or false, it is %s", v.kind)
		case w.kind != Bool:
			return fail("a side of && or || must be true or false, it is %s", w.kind)
		}
		return w
	}
}

// sum flattens a + b + c, so that texts are joined in one step.
func (l *lowering) sum(e ast.Expr) (lowered, bool) {
	var terms []ast.Expr
	var flatten func(e ast.Expr)
	flatten = func(e ast.Expr) {
		if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Add && len(e.AsCall().Args()) == 2 {
			flatten(e.AsCall().Args()[0])
			terms = append(terms, e.AsCall().Args()[1])
			return
		}
		terms = append(terms, e)
	}
	flatten(e)
	nodes, constants, ok := l.all(terms)
	if !ok {
		return lowered{}, false
	}
	node := applyNode(concat, nodes)
	if len(nodes) <= 4 {
		node = func(f *Frame) Value {
			var room [4]Value
			args := room[:len(nodes)]
			for i := range args {
				if args[i] = nodes[i].node(f); args[i].kind == Failed {
					return args[i]
				}
			}
			return concat(f, args)
		}
	}
	if constants {
		return l.fold(node)
	}
	if l.b.Probe != nil {
		return lowered{node: node}, true
	}
	return lowered{node: node, write: sumWriter(node, nodes)}, true
}

// sumWriter writes one text behind the other; where a term is something else, node adds them up.
func sumWriter(node Node, terms []lowered) TextWriter {
	writers := make([]TextWriter, len(terms))
	for i, t := range terms {
		writers[i] = t.writer()
	}
	return func(f *Frame, dst []byte) ([]byte, Value) {
		start := len(dst)
		var v Value
		for _, write := range writers {
			if dst, v = write(f, dst); v.kind != Text {
				if v.kind != Failed {
					v = node(f)
				}
				return dst[:start], v
			}
			if len(dst)-start > maxMemory {
				return dst[:start], f.exceed(tooMuchMemory)
			}
		}
		return dst, v
	}
}

// concat joins texts in one step; anything else is added up.
func concat(f *Frame, args []Value) Value {
	for i := range args {
		if args[i].kind != Text {
			return addAll(f, args)
		}
	}
	if !f.roomFor(args) {
		return f.exceed(tooMuchMemory)
	}
	start := len(f.scratch)
	for i := range args {
		f.scratch = append(f.scratch, args[i].str()...)
	}
	return TextValue(f.since(start))
}

func addAll(f *Frame, args []Value) Value {
	sum := args[0]
	for _, v := range args[1:] {
		if sum = add(f, sum, v); sum.kind == Failed {
			return sum
		}
	}
	return sum
}

var addNumbers = arithmetic("+", func(a, b float64) float64 { return a + b }, addInt)

func add(f *Frame, v, w Value) Value {
	switch {
	case v.kind == Text && w.kind == Text:
		return TextValue(f.build(func(dst []byte) []byte { return append(append(dst, v.str()...), w.str()...) }))
	case v.kind == List && w.kind == List:
		if !f.room(len(v.str())+len(w.str())) || !f.spend(len(v.str())+len(w.str())) {
			return f.exceed(tooMuchMemory)
		}
		a, b := strings.TrimSpace(v.str()[1:len(v.str())-1]), strings.TrimSpace(w.str()[1:len(w.str())-1])
		sep := ","
		if a == "" || b == "" {
			sep = ""
		}
		return stringValue(List, "["+a+sep+b+"]")
	}
	return addNumbers(v, w)
}

// list lowers a list literal to JSON text.
func (l *lowering) list(elements []ast.Expr) (lowered, bool) {
	nodes, constants, ok := l.all(elements)
	if !ok {
		return lowered{}, false
	}
	node := applyNode(func(f *Frame, args []Value) Value {
		if !f.roomFor(args) {
			return f.exceed(tooMuchMemory)
		}
		return stringValue(List, f.build(func(dst []byte) []byte {
			dst = append(dst, '[')
			for i, v := range args {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = v.AppendJSON(dst)
			}
			return append(dst, ']')
		}))
	}, nodes)
	if constants {
		return l.fold(node)
	}
	return lowered{node: node}, true
}

// object lowers a map literal with text keys to JSON text, its members sorted by key as everywhere in CEL.
func (l *lowering) object(m ast.MapExpr) (lowered, bool) {
	type entry struct {
		key   string
		value ast.Expr
	}
	var entries []entry
	for _, item := range m.Entries() {
		key, ok := literalText(item.AsMapEntry().Key())
		if !ok {
			return lowered{}, false
		}
		if slices.ContainsFunc(entries, func(e entry) bool { return e.key == key }) {
			l.faults = append(l.faults, l.x.fault(item.AsMapEntry().Key(), "bad-argument", "the key "+strconv.Quote(key)+" comes twice"))
			return lowered{}, false
		}
		entries = append(entries, entry{key, item.AsMapEntry().Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	values := make([]ast.Expr, len(entries))
	for i, e := range entries {
		values[i] = e.value
	}
	nodes, constants, ok := l.all(values)
	if !ok {
		return lowered{}, false
	}
	node := applyNode(func(f *Frame, args []Value) Value {
		if !f.roomFor(args) {
			return f.exceed(tooMuchMemory)
		}
		return stringValue(Object, f.build(func(dst []byte) []byte {
			dst = append(dst, '{')
			for i, v := range args {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = append(AppendString(dst, entries[i].key), ':')
				dst = v.AppendJSON(dst)
			}
			return append(dst, '}')
		}))
	}, nodes)
	if constants {
		return l.fold(node)
	}
	return lowered{node: node}, true
}

func (l *lowering) in(args []ast.Expr) (lowered, bool) {
	nodes, constants, ok := l.all(args)
	if !ok {
		return lowered{}, false
	}
	test := contains
	if set := nodes[1].konst; set != nil && (set.kind == List || set.kind == Object) {
		texts, others := memberSet(*set)
		test = func(v, set Value) Value {
			if v.kind == Text {
				return BoolValue(texts[v.str()])
			}
			for _, o := range others {
				if equal(v, o) {
					return BoolValue(true)
				}
			}
			return BoolValue(false)
		}
	}
	node := applyNode(func(f *Frame, args []Value) Value { return test(args[0], args[1]) }, nodes)
	if constants {
		return l.fold(node)
	}
	return lowered{node: node}, true
}

func memberSet(set Value) (texts map[string]bool, others []Value) {
	texts = map[string]bool{}
	gjson.Parse(set.str()).ForEach(func(k, m gjson.Result) bool {
		if set.kind == Object {
			texts[textOf(k)] = true
		} else if v := JSONValue(m.Raw); v.kind == Text {
			texts[v.str()] = true
		} else {
			others = append(others, v)
		}
		return true
	})
	return texts, others
}

func contains(v, set Value) Value {
	switch set.kind {
	case Object:
		_, ok := lookupMember(set, v.str())
		return BoolValue(ok && v.kind == Text)
	case List:
		texts, others := memberSet(set)
		found := v.kind == Text && texts[v.str()]
		return BoolValue(found || slices.ContainsFunc(others, func(o Value) bool { return equal(v, o) }))
	}
	return fail("\"in\" needs a list or an object, got %s", set.kind)
}

func (l *lowering) matches(args []ast.Expr) (lowered, bool) {
	if len(args) != 2 {
		return lowered{}, false
	}
	pattern, ok := literalText(args[1])
	if !ok {
		return lowered{}, false
	}
	n, ok := l.lower(args[0])
	if !ok {
		return lowered{}, false
	}
	re, err := compileRegexp(pattern)
	if err != nil {
		return lowered{}, false
	}
	return lowered{node: oneNode(re.matches, n.node)}, true
}
