package expr

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
	"github.com/tidwall/gjson"
)

// plan makes a node that cel-go evaluates. Calls of library functions are replaced by nodes that run the same
// implementations as the closures do, on the same frame.
func (x *Expr) plan(b *Binder) (Node, error) {
	var failure error
	decorate := func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, ok := i.(interpreter.InterpretableCall)
		if !ok {
			return i, nil
		}
		if re := literalPattern(call); re != nil {
			run := func(f *Frame, args []Value) Value { return re.matches(f, args[0]) }
			return &libraryCall{id: i.ID(), args: call.Args(), run: run}, nil
		}
		fn, ours := functionsByName[call.Function()]
		if !ours || !strings.HasPrefix(call.OverloadID(), fn.Name+"_") {
			return finiteCall{i}, nil
		}
		args := make([]lowered, len(call.Args()))
		for n, a := range call.Args() {
			if c, ok := a.(interpreter.InterpretableConst); ok {
				v := fromCEL(c.Value())
				args[n].konst = &v
			}
		}
		run, err := b.prepare(fn, args)
		if err != nil {
			failure = errors.Join(failure, fmt.Errorf("%s: %w", fn.Name, err))
			return i, nil
		}
		return &libraryCall{id: i.ID(), args: call.Args(), run: run, until: fn.until}, nil
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(decorate)}
	if x.loops > 0 {
		options = append(options, cel.CostLimit(maxCost))
	}
	program, err := x.scope.env.Program(x.ast, options...)
	if err = errors.Join(failure, err); err != nil {
		return nil, err
	}
	return func(f *Frame) Value {
		base := len(f.stack)
		out, _, err := program.Eval(f)
		if err != nil {
			f.stack = f.stack[:base] // cel-go may have left off in the middle of a call
			return failWith(asFailure(err))
		}
		return fromCEL(out)
	}, nil
}

// literalPattern is the regular expression of a call of matches, nil for any other call.
func literalPattern(call interpreter.InterpretableCall) *pattern {
	if call.Function() != overloads.Matches || len(call.Args()) != 2 {
		return nil
	}
	c, ok := call.Args()[1].(interpreter.InterpretableConst)
	if !ok {
		return nil
	}
	re, err := compileRegexp(fromCEL(c.Value()).str())
	if err != nil {
		return nil // Compile has refused it
	}
	return re
}

func asFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	reason := "the expression cannot be evaluated for this event"
	for _, known := range reasons {
		if strings.Contains(err.Error(), known.part) {
			reason = known.reason
			break
		}
	}
	return &Failure{Reason: reason, Err: fmt.Errorf("%w: %s", ErrEvaluation, reason)}
}

// reasons translate the messages of cel-go, which put keys and values of the event into some of them.
var reasons = []struct{ part, reason string }{
	{"cost limit", "the expression takes too many steps for this event"},
	{"expected iterable type", "a loop needs a list or an object"},
	{"no such overload", "an operator or function got values of types that it does not take"},
	{"division by zero", "division by zero"},
	{"modulus by zero", "division by zero"},
	{"overflow", "the number is out of range"},
	{"no such key", "an object has no such key"},
	{"out of range", "an index or argument is out of range"},
	{"out of bounds", "an index or argument is out of range"},
	{"type conversion error", "a value cannot be converted to the type that is asked for"},
	{"invalid RFC 3339 timestamp", "the text is no timestamp"},
}

// ErrEvaluation marks failures that cel-go reports.
var ErrEvaluation = errors.New("expression cannot be evaluated")

// libraryCall evaluates a function of the library inside a cel-go program.
type libraryCall struct {
	id    int64
	args  []interpreter.InterpretableV2
	run   implementation
	until func(v Value) bool
}

// ID is the id of the syntax node.
func (c *libraryCall) ID() int64 { return c.id }

// Eval evaluates the call under an activation.
func (c *libraryCall) Eval(a interpreter.Activation) ref.Val {
	e, err := interpreter.NewExecutionFrame(a)
	if err != nil {
		return types.WrapErr(err)
	}
	defer e.Close()
	return c.Exec(e)
}

// Exec evaluates the call in a frame of cel-go.
func (c *libraryCall) Exec(e *interpreter.ExecutionFrame) ref.Val {
	v, ok := e.ResolveName(frameName)
	f, isFrame := v.(*Frame)
	if !ok || !isFrame {
		return types.WrapErr(ErrInternal)
	}
	if c.until != nil {
		for _, a := range c.args[:len(c.args)-1] {
			if out := a.Exec(e); types.IsUnknownOrError(out) || c.until(fromCEL(out)) {
				return out
			}
		}
		return c.args[len(c.args)-1].Exec(e)
	}
	base := len(f.stack)
	for _, a := range c.args {
		out := a.Exec(e)
		if types.IsUnknownOrError(out) {
			f.stack = f.stack[:base]
			return out
		}
		v := fromCEL(out)
		if v.kind == Failed {
			f.stack = f.stack[:base]
			return types.WrapErr(v.Failure())
		}
		f.stack = append(f.stack, v)
	}
	if !f.spendOn(f.stack[base:]) {
		f.stack = f.stack[:base]
		return types.WrapErr(f.over)
	}
	result := c.run(f, f.stack[base:])
	f.stack = f.stack[:base]
	if f.over != nil {
		return types.WrapErr(f.over)
	}
	return f.toCEL(result)
}

// finiteCall refuses a result that JSON cannot write, NaN or an infinity, where it arises. It also keeps cel-go from
// leaving out what stands before "in []".
type finiteCall struct{ interpreter.InterpretableV2 }

// Eval evaluates the call under an activation.
func (c finiteCall) Eval(a interpreter.Activation) ref.Val { return finite(c.InterpretableV2.Eval(a)) }

// Exec evaluates the call in a frame of cel-go.
func (c finiteCall) Exec(e *interpreter.ExecutionFrame) ref.Val {
	return finite(c.InterpretableV2.Exec(e))
}

func finite(v ref.Val) ref.Val {
	if d, ok := v.(types.Double); ok {
		if f := DoubleValue(float64(d)).Failure(); f != nil {
			return types.WrapErr(f)
		}
	}
	return v
}

// toCEL makes a value for cel-go. Objects and lists keep their JSON text.
func toCEL(v Value) ref.Val {
	switch v.kind {
	case Bool:
		return types.Bool(v.num != 0)
	case Int:
		return types.Int(v.int())
	case Double:
		x, _ := v.float()
		return types.Double(x)
	case Number:
		return numberVal{raw: v.str()}
	case Text:
		return types.String(v.str())
	case Object:
		m := map[ref.Val]ref.Val{}
		var keys []ref.Val
		gjson.Parse(v.str()).ForEach(func(k, e gjson.Result) bool {
			key := types.String(textOf(k))
			if _, twice := m[key]; !twice {
				keys = append(keys, key)
			}
			m[key] = toCEL(JSONValue(e.Raw))
			return true
		})
		return &objectVal{types.NewRefValMap(types.DefaultTypeAdapter, m), v.str(), keys}
	case List:
		var list []ref.Val
		gjson.Parse(v.str()).ForEach(func(_, e gjson.Result) bool {
			list = append(list, toCEL(JSONValue(e.Raw)))
			return true
		})
		return listVal{types.NewRefValList(types.DefaultTypeAdapter, list), v.str()}
	case Failed:
		return types.WrapErr(v.Failure())
	}
	return types.NullValue
}

type objectVal struct {
	traits.Mapper
	raw  string
	keys []ref.Val
}

// Iterator goes through the keys in the order of the JSON text, so that loops give the same every time.
func (o *objectVal) Iterator() traits.Iterator {
	return types.NewRefValList(types.DefaultTypeAdapter, o.keys).Iterator()
}

// Contains tells whether the object has a key; one that is no text it never has.
func (o *objectVal) Contains(key ref.Val) ref.Val {
	_, ok := o.Find(key)
	return types.Bool(ok)
}

// Find returns the member of a key.
func (o *objectVal) Find(key ref.Val) (ref.Val, bool) {
	if _, ok := key.(types.String); !ok {
		return nil, false
	}
	return o.Mapper.Find(key)
}

type listVal struct {
	traits.Lister
	raw string
}

// numberVal is a whole number beyond 64 bits: it can be passed on, not computed with.
type numberVal struct{ raw string }

var numberType = types.NewOpaqueType("number_beyond_64_bits")

func (n numberVal) ConvertToNative(reflect.Type) (any, error) { return n.raw, nil }
func (n numberVal) ConvertToType(ref.Type) ref.Val {
	return types.NewErr("a number beyond 64 bits cannot be converted")
}
func (n numberVal) Equal(ref.Val) ref.Val { return types.False }
func (n numberVal) Type() ref.Type        { return numberType }
func (n numberVal) Value() any            { return n.raw }

// fromCEL takes a value back from cel-go. Maps made there get their members sorted by key.
func fromCEL(r ref.Val) Value {
	switch v := r.(type) {
	case types.Null:
		return NullValue
	case types.Bool:
		return BoolValue(bool(v))
	case types.Int:
		return IntValue(int64(v))
	case types.Double:
		return DoubleValue(float64(v))
	case types.String:
		return TextValue(string(v))
	case types.Uint:
		return numberValue(fmt.Sprint(uint64(v)))
	case types.Timestamp:
		return TextValue(v.Time.Format(time.RFC3339Nano))
	case numberVal:
		return stringValue(Number, v.raw)
	case *objectVal:
		return stringValue(Object, v.raw)
	case listVal:
		return stringValue(List, v.raw)
	case *types.Err:
		return failWith(asFailure(v))
	case traits.Mapper:
		return mapFromCEL(v)
	case traits.Lister:
		out := []byte{'['}
		for it := v.Iterator(); it.HasNext() == types.True; {
			e := fromCEL(it.Next())
			if e.kind == Failed {
				return e
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = e.AppendJSON(out)
		}
		return stringValue(List, string(append(out, ']')))
	}
	return fail("a value of type %s cannot be written as JSON", r.Type().TypeName())
}

func mapFromCEL(m traits.Mapper) Value {
	type entry struct {
		key   string
		value Value
	}
	var entries []entry
	for it := m.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		key, ok := k.(types.String)
		if !ok {
			return fail("an object's keys must be text, got %s", k.Type().TypeName())
		}
		v := fromCEL(m.Get(k))
		if v.kind == Failed {
			return v
		}
		entries = append(entries, entry{string(key), v})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	out := []byte{'{'}
	for i, e := range entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(AppendString(out, e.key), ':')
		out = e.value.AppendJSON(out)
	}
	return stringValue(Object, string(append(out, '}')))
}
