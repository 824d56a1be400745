package expr

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// Function is one function of the mapping language.
type Function struct {
	Name   string
	Params []Param
	// Variadic lets the last parameter repeat, up to maxArguments in all.
	Variadic bool
	Result   *cel.Type
	// Doc is a sentence or two; Example is an expression over SampleEvent and Gives its value as JSON.
	Doc, Example, Gives string
	Group               string

	// impure functions are never folded to a constant.
	impure bool
	// run computes the value; bind, where set, makes run for a call whose constant arguments are known.
	run implementation
	// one and two are run for functions of one and two arguments, without a list of them.
	one func(f *Frame, arg Value) Value
	two func(f *Frame, first, second Value) Value
	// node, where set, makes the whole call of an accessor, whose arguments are all literal.
	node func(b *Binder, consts []*Value) (Node, error)
	// until, where set, ends the evaluation of the arguments: the first value it accepts is the result, else the last.
	until func(v Value) bool
	bind  func(b *Binder, consts []*Value) (implementation, error)
	// write, where set, makes the writer of a call whose value is a text that it need not make first. What it gives is
	// what run gives.
	write func(args []lowered) TextWriter
}

// Param is a parameter of a Function.
type Param struct {
	Name string
	Type *cel.Type
	// Literal parameters must be constants, known when the mapping is loaded.
	Literal bool
}

type implementation func(f *Frame, args []Value) Value

// maxArguments bounds the arguments of a variadic function.
const maxArguments = 8

// Signature is the function as its documentation shows it, such as "seconds(value) → number".
func (fn *Function) Signature() string {
	names := make([]string, len(fn.Params))
	for i, p := range fn.Params {
		names[i] = p.Name
		if t := typeName(p.Type); t != "any" {
			names[i] += ": " + t
		}
	}
	list := strings.Join(names, ", ")
	if fn.Variadic {
		list += ", …"
	}
	return fmt.Sprintf("%s(%s) → %s", fn.Name, list, typeName(fn.Result))
}

func typeName(t *cel.Type) string {
	switch t.Kind() {
	case types.StringKind:
		return "text"
	case types.IntKind:
		return "whole number"
	case types.DoubleKind:
		return "number"
	case types.BoolKind:
		return "bool"
	case types.ListKind:
		return "list"
	case types.MapKind:
		return "object"
	}
	return "any"
}

// arities are the argument counts that the function accepts.
func (fn *Function) arities() (least, most int) {
	if fn.Variadic {
		return len(fn.Params), maxArguments
	}
	return len(fn.Params), len(fn.Params)
}

// param is the declaration of argument i.
func (fn *Function) param(i int) Param { return fn.Params[min(i, len(fn.Params)-1)] }

// declare adds the function to a CEL environment. The binding only serves cel-go's planner: evaluation goes
// through the decorator of a Program, which knows the Frame.
func (fn *Function) declare() cel.EnvOption {
	var overloads []cel.FunctionOpt
	least, most := fn.arities()
	for n := least; n <= most; n++ {
		args := make([]*cel.Type, n)
		for i := range args {
			args[i] = fn.param(i).Type
		}
		overloads = append(overloads, cel.Overload(fmt.Sprintf("%s_%d", fn.Name, n), args, fn.Result, cel.OverloadIsNonStrict()))
	}
	overloads = append(overloads, cel.SingletonFunctionBinding(unplanned))
	return cel.Function(fn.Name, overloads...)
}

func text(name string) Param    { return Param{Name: name, Type: cel.StringType} }
func literal(name string) Param { return Param{Name: name, Type: cel.StringType, Literal: true} }
func dyn(name string) Param     { return Param{Name: name, Type: cel.DynType} }

// Functions lists the function library in the order of its documentation.
func Functions() []*Function { return library }

var library = func() (all []*Function) {
	for _, group := range []struct {
		name      string
		functions []*Function
	}{
		{"Reading the event", eventFunctions},
		{"Choosing and refusing", choiceFunctions},
		{"Text", textFunctions},
		{"Numbers and times", numberFunctions},
		{"Objects, lists and JSON", jsonFunctions},
		{"Ids, users and courses", identityFunctions},
		{"Conforming to specifications", conformFunctions},
		{"Routing", routeFunctions},
	} {
		for _, fn := range group.functions {
			fn.Group = group.name
			all = append(all, fn)
		}
	}
	all = append(all, internalFunctions...)
	for _, fn := range all {
		fn.complete()
	}
	return all
}()

// complete derives the general form of a function from its special one.
func (fn *Function) complete() {
	switch {
	case fn.one != nil:
		fn.run = func(f *Frame, args []Value) Value { return fn.one(f, args[0]) }
	case fn.two != nil:
		fn.run = func(f *Frame, args []Value) Value { return fn.two(f, args[0], args[1]) }
	case fn.node != nil:
		fn.bind = func(b *Binder, consts []*Value) (implementation, error) {
			n, err := fn.node(b, consts)
			return func(f *Frame, _ []Value) Value { return n(f) }, err
		}
	}
}

var functionsByName = func() map[string]*Function {
	m := make(map[string]*Function, len(library))
	for _, fn := range library {
		m[fn.Name] = fn
	}
	return m
}()
