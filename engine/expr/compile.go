package expr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
)

// Fault is something wrong with the text of an expression.
type Fault struct {
	// From and To are byte offsets in the expression's text; To is From where only a point is known.
	From, To int
	// Code is stable: expr-syntax, expr-type, unknown-name, unknown-member, bad-argument, expr-limit.
	Code    string
	Message string
	Hint    string
}

// Error returns the message and the hint.
func (f Fault) Error() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + " (" + f.Hint + ")"
}

// Expr is a parsed and checked expression. It is immutable and safe for concurrent use.
type Expr struct {
	source string
	scope  *Scope
	ast    *cel.Ast
	loops  int
}

// Type is the type of the value as far as it is known, cel.DynType where it is not.
func (x *Expr) Type() *cel.Type { return x.ast.OutputType() }

// Source is the text of the expression.
func (x *Expr) Source() string { return x.source }

// Names lists the names of the scope that the expression uses, in order of first use.
func (x *Expr) Names() []string {
	return identifiers(x.ast.NativeRep().Expr())
}

// Members lists the members of a name that the expression selects, such as verb of args for args.verb and
// args["verb"]; whole is true where it uses the name in any other way too.
func (x *Expr) Members(name string) (keys []string, whole bool) {
	var walk func(e ast.Expr)
	walk = func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == name {
			whole = true
		}
		if e.Kind() == ast.CallKind {
			c := e.AsCall()
			switch c.FunctionName() {
			case fnField, fnHasField, fnIndex:
				object := c.Args()[0]
				if key, ok := literalText(c.Args()[1]); ok && object.Kind() == ast.IdentKind && object.AsIdent() == name {
					keys = append(keys, key)
					return
				}
			}
		}
		for _, child := range children(e) {
			walk(child)
		}
	}
	walk(x.ast.NativeRep().Expr())
	return keys, whole
}

// Identifiers lists the names that a source refers to, without checking them; nil where it does not parse.
func Identifiers(source string) []string {
	base, err := baseEnv()
	if err != nil {
		return nil
	}
	tree, issues := base.Parse(source)
	if issues.Err() != nil {
		return nil
	}
	return identifiers(tree.NativeRep().Expr())
}

func identifiers(root ast.Expr) []string {
	var names []string
	bound := map[string]int{}
	var walk func(e ast.Expr)
	walk = func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if name := e.AsIdent(); bound[name] == 0 && !slices.Contains(names, name) {
				names = append(names, name)
			}
		case ast.ComprehensionKind:
			c := e.AsComprehension()
			walk(c.IterRange())
			walk(c.AccuInit())
			for _, v := range []string{c.IterVar(), c.IterVar2(), c.AccuVar()} {
				bound[v]++
			}
			walk(c.LoopCondition())
			walk(c.LoopStep())
			walk(c.Result())
			for _, v := range []string{c.IterVar(), c.IterVar2(), c.AccuVar()} {
				bound[v]--
			}
		default:
			for _, child := range children(e) {
				walk(child)
			}
		}
	}
	walk(root)
	return names
}

func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			return append([]ast.Expr{c.Target()}, c.Args()...)
		}
		return c.Args()
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var all []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			all = append(all, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return all
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}

// Compile parses and checks an expression and reports all its faults.
func (s *Scope) Compile(source string) (*Expr, []Fault) {
	if strings.TrimSpace(source) == "" {
		return nil, []Fault{{Code: "expr-syntax", Message: "the expression is empty"}}
	}
	parsed, issues := s.env.Parse(source)
	if issues.Err() != nil {
		return nil, s.faults(source, issues)
	}
	native := parsed.NativeRep()
	loops := loopDepth(native.Expr())
	if loops > maxLoops {
		return nil, []Fault{{To: len(source), Code: "expr-limit", Message: fmt.Sprintf("loops stand %d deep in one another, at most %d are allowed", loops, maxLoops)}}
	}
	rewrite(native)
	checked, issues := s.env.Check(parsed)
	if issues.Err() != nil {
		return nil, s.faults(source, issues)
	}
	x := &Expr{source: source, scope: s, ast: checked, loops: loops}
	if faults := x.checkLiterals(); len(faults) > 0 {
		return nil, faults
	}
	return x, nil
}

// rewrite turns selection (event.a.b, value.member, has(…), value[key]) into calls that answer null for what
// is missing, as events are full of optional members.
func rewrite(tree *ast.AST) {
	factory := ast.NewExprFactory()
	next := ast.MaxID(tree) + 1
	id := func(at int64) int64 {
		n := next
		next++
		if r, ok := tree.SourceInfo().GetOffsetRange(at); ok {
			tree.SourceInfo().SetOffsetRange(n, r)
		}
		return n
	}
	var visit func(e ast.Expr)
	visit = func(e ast.Expr) {
		switch e.Kind() {
		case ast.LiteralKind:
			// A null of any type, so that both sides of "? :" fit.
			if e.AsLiteral() == types.NullValue {
				e.SetKindCase(factory.NewCall(e.ID(), fnNull))
			}
			return
		case ast.SelectKind:
			sel := e.AsSelect()
			if path, ok := eventPath(e); ok {
				fn := fnEvent
				if sel.IsTestOnly() {
					fn = fnHasEvent
				}
				e.SetKindCase(factory.NewCall(e.ID(), fn, factory.NewLiteral(id(e.ID()), types.String(path))))
				return
			}
			visit(sel.Operand())
			fn := fnField
			if sel.IsTestOnly() {
				fn = fnHasField
			}
			operand := sel.Operand()
			e.SetKindCase(factory.NewCall(e.ID(), fn, operand, factory.NewLiteral(id(e.ID()), types.String(sel.FieldName()))))
			return
		case ast.MapKind:
			// As JSON text, whose members have an order; a map of cel-go has none.
			literal := factory.NewMap(id(e.ID()), e.AsMap().Entries())
			for _, child := range children(literal) {
				visit(child)
			}
			e.SetKindCase(factory.NewCall(e.ID(), fnObject, literal))
			return
		case ast.CallKind:
			if c := e.AsCall(); c.FunctionName() == operators.Index {
				visit(c.Args()[0])
				visit(c.Args()[1])
				e.SetKindCase(factory.NewCall(e.ID(), fnIndex, c.Args()[0], c.Args()[1]))
				return
			}
		}
		for _, child := range children(e) {
			visit(child)
		}
	}
	visit(tree.Expr())
}

// eventPath is the dotted path of event.a.b.
func eventPath(e ast.Expr) (string, bool) {
	if e.Kind() != ast.SelectKind {
		return "", false
	}
	sel := e.AsSelect()
	if op := sel.Operand(); op.Kind() == ast.IdentKind && op.AsIdent() == "event" {
		return sel.FieldName(), true
	}
	if head, ok := eventPath(sel.Operand()); ok {
		return head + "." + sel.FieldName(), true
	}
	return "", false
}

func loopDepth(e ast.Expr) int {
	deepest := 0
	for _, child := range children(e) {
		deepest = max(deepest, loopDepth(child))
	}
	if e.Kind() == ast.ComprehensionKind {
		return deepest + 1
	}
	return deepest
}

// checkLiterals reports arguments that must be constants and are not, bad paths and bad regular expressions.
func (x *Expr) checkLiterals() (faults []Fault) {
	var visit func(e ast.Expr)
	visit = func(e ast.Expr) {
		if e.Kind() == ast.CallKind {
			call := e.AsCall()
			if fn, ok := functionsByName[call.FunctionName()]; ok && !call.IsMemberFunction() {
				for i, arg := range call.Args() {
					value, isText := literalText(arg)
					if !fn.param(i).Literal && (fn.Name != fnPath || !isText) {
						continue
					}
					switch {
					case !isText:
						f := x.fault(arg, "bad-argument", fmt.Sprintf("%s needs a literal %s, known when the mapping is loaded", fn.Name, fn.param(i).Name))
						if fn.Group == "Reading the event" {
							f.Hint = "path(…) takes a computed path"
						}
						faults = append(faults, f)
					case fn.Name == fnPath:
						if err := checkGeneralPath(value); err != nil {
							faults = append(faults, x.fault(arg, "bad-argument", err.Error()))
						}
					case fn.param(i).Name == "path" || fn.Name == "find":
						if err := event.CheckPath(value); err != nil {
							faults = append(faults, x.fault(arg, "bad-argument", err.Error()))
						}
					case fn.param(i).Name == "pattern":
						if _, err := compileRegexp(value); err != nil {
							faults = append(faults, x.fault(arg, "bad-argument", "bad regular expression: "+regexpReason(err)))
						}
					}
				}
			}
			if call.FunctionName() == "matches" && len(call.Args()) > 0 {
				arg := call.Args()[len(call.Args())-1]
				if pattern, ok := literalText(arg); !ok {
					faults = append(faults, x.fault(arg, "bad-argument", "matches needs a literal regular expression, known when the mapping is loaded"))
				} else if _, err := compileRegexp(pattern); err != nil {
					faults = append(faults, x.fault(arg, "bad-argument", "bad regular expression: "+regexpReason(err)))
				}
			}
		}
		for _, child := range children(e) {
			visit(child)
		}
	}
	visit(x.ast.NativeRep().Expr())
	return faults
}

func regexpReason(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// fault places a message at a node of the expression.
func (x *Expr) fault(e ast.Expr, code, message string) Fault {
	f := Fault{To: len(x.source), Code: code, Message: message}
	if r, ok := x.ast.NativeRep().SourceInfo().GetOffsetRange(e.ID()); ok {
		f.From = byteOffset(x.source, int(r.Start))
		f.To = max(f.From, byteOffset(x.source, int(r.Stop)))
	}
	// A selection is placed at its dot: the name behind it says more.
	if f.From < len(x.source) && x.source[f.From] == '.' {
		name := f.From + 1
		for name < len(x.source) && x.source[name] <= ' ' {
			name++
		}
		if end := wordEnd(x.source, name); end > name {
			f.From, f.To = name, end
		}
	}
	return f
}

// faults translates cel-go's issues to the words of the mapping language.
func (s *Scope) faults(source string, issues *cel.Issues) []Fault {
	var all []Fault
	for _, e := range issues.Errors() {
		f := translate(e, s.names)
		f.From = locationOffset(source, e.Location)
		// A call is placed at its parenthesis: its name says more.
		if f.From < len(source) && source[f.From] == '(' {
			f.From = wordStart(source, f.From)
		}
		f.To = wordEnd(source, f.From)
		if !slices.ContainsFunc(all, func(o Fault) bool { return o.From == f.From && o.Message == f.Message }) {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		all = []Fault{{To: len(source), Code: "expr-syntax", Message: "the expression is not valid"}}
	}
	return all
}

var (
	undeclared   = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	noOverload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'`)
	syntaxDetail = regexp.MustCompile(`^Syntax error: (.*)`)
	expecting    = regexp.MustCompile(` expecting \{.*\}$`)
)

func translate(e *common.Error, names []string) Fault {
	m := e.Message
	if g := undeclared.FindStringSubmatch(m); g != nil {
		f := Fault{Code: "unknown-name", Message: fmt.Sprintf("unknown name or function %q", g[1])}
		candidates := slices.Clone(names)
		for _, fn := range library {
			if !strings.HasPrefix(fn.Name, "@") {
				candidates = append(candidates, fn.Name)
			}
		}
		switch g[1] {
		case "result":
			f.Hint = "only filters have it"
			return f
		case "item", "key":
			f.Hint = "only children have it"
			return f
		}
		f.Hint = diag.DidYouMean(g[1], append(candidates, standardNames()...))
		return f
	}
	if g := noOverload.FindStringSubmatch(m); g != nil {
		name := displayName(g[1])
		f := Fault{Code: "expr-type", Message: fmt.Sprintf("%s cannot be applied to %s", name, g[2])}
		if fn, ok := functionsByName[g[1]]; ok && !strings.HasPrefix(g[1], "@") {
			f.Hint = "it is " + fn.Signature()
		}
		return f
	}
	if g := syntaxDetail.FindStringSubmatch(m); g != nil {
		if strings.Contains(g[1], "'<EOF>'") {
			return Fault{Code: "expr-syntax", Message: "syntax error: the expression ends too early"}
		}
		return Fault{Code: "expr-syntax", Message: "syntax error: " + expecting.ReplaceAllString(g[1], "")}
	}
	if strings.Contains(m, "recursion limit") {
		return Fault{Code: "expr-limit", Message: fmt.Sprintf("the expression nests more than %d deep", maxNesting)}
	}
	if strings.Contains(m, "code point size") {
		return Fault{Code: "expr-limit", Message: fmt.Sprintf("the expression has more than %d characters", maxSource), Hint: "split it with let"}
	}
	if strings.Contains(m, "limit") {
		return Fault{Code: "expr-limit", Message: m}
	}
	return Fault{Code: "expr-type", Message: m}
}

// standardNames are the functions and methods that CEL itself has.
var standardNames = sync.OnceValue(func() (names []string) {
	base, err := baseEnv()
	if err != nil {
		return nil
	}
	for name := range base.Functions() {
		if wordEnd(name, 0) == len(name) && name[0] != '_' {
			names = append(names, name)
		}
	}
	return append(names, "map", "filter", "all", "exists", "exists_one", "has")
})

func displayName(function string) string {
	if symbol, ok := operators.FindReverse(function); ok && symbol != "" {
		return fmt.Sprintf("the operator %q", symbol)
	}
	switch function {
	case operators.Conditional:
		return `the operator "? :"`
	case fnIndex:
		return `the operator "[ ]"`
	case fnField, fnHasField:
		return `the operator "."`
	}
	return function
}

// locationOffset is the byte offset of a location, whose line is 1-based and column 0-based in code points.
func locationOffset(source string, at common.Location) int {
	if at == nil || at.Line() < 1 {
		return 0
	}
	offset := 0
	for line := 1; line < at.Line(); line++ {
		n := strings.IndexByte(source[offset:], '\n')
		if n < 0 {
			return len(source)
		}
		offset += n + 1
	}
	return offset + byteOffset(source[offset:], at.Column())
}

func byteOffset(s string, runes int) int {
	for i := range s {
		if runes <= 0 {
			return i
		}
		runes--
	}
	return len(s)
}

// wordEnd is the end of the name or number that starts at an offset.
func wordEnd(s string, from int) int {
	for from < len(s) && inWord(s[from]) {
		from++
	}
	return from
}

func wordStart(s string, end int) int {
	for end > 0 && inWord(s[end-1]) {
		end--
	}
	return end
}

func inWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// ErrInternal marks a failure of the expression engine itself.
var ErrInternal = errors.New("internal error of the expression engine")
