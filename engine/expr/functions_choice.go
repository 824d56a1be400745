package expr

import "github.com/google/cel-go/cel"

var choiceFunctions = []*Function{
	{
		Name: "or_else", Params: []Param{dyn("value"), dyn("other")}, Variadic: true, Result: cel.DynType,
		Doc:     "The first argument that is not null, empty, 0 or false; where all are, the last one.",
		Example: `or_else(get("data.mode"), find("mode"), "none")`, Gives: `"none"`,
		until: Value.truthy,
	},
	{
		Name: "coalesce", Params: []Param{dyn("value"), dyn("other")}, Variadic: true, Result: cel.DynType,
		Doc:     "The first argument that is not null. 0, false and empty text are values.",
		Example: `coalesce(get("data.mode"), 0)`, Gives: `0`,
		until: func(v Value) bool { return v.kind != Null },
	},
	{
		Name: "must", Params: []Param{dyn("value"), literal("what")}, Result: cel.DynType,
		Doc:     "The value; an event for which it is null is rejected, and the reason says what is missing.",
		Example: `must(find("session"), "the session")`, Gives: `"77e9"`,
		two: func(f *Frame, first, second Value) Value {
			if first.kind == Null {
				return reject("%s is required but absent or empty", second.str())
			}
			return first
		},
	},
	{
		Name: "reject", Params: []Param{literal("reason")}, Result: cel.DynType,
		Doc:     "Rejects the event with this reason.",
		Example: `get("data.id") == null ? reject("no id") : get("data.id")`, Gives: `"c519"`,
		impure: true,
		run:    func(f *Frame, args []Value) Value { return reject("%s", args[0].str()) },
	},
	{
		Name: "truthy", Params: []Param{dyn("value")}, Result: cel.BoolType,
		Doc:     "False for null, false, 0 and empty text, lists and objects; true for everything else.",
		Example: `truthy(get("data.id"))`, Gives: `true`,
		one: func(f *Frame, arg Value) Value { return BoolValue(arg.truthy()) },
	},
	{
		Name: "choose", Params: []Param{dyn("table"), dyn("key"), dyn("other")}, Result: cel.DynType,
		Doc:     "The table's value for the key, or the third argument where the table has none.",
		Example: `choose({"a": "first"}, "b", "unknown")`, Gives: `"unknown"`,
		run:  chooseFrom,
		bind: bindChoose,
	},
	isKind("is_text", "text", `is_text(get("data.id"))`, Text),
	isKind("is_number", "a number", `is_number(get("data.duration"))`, Int, Double, Number),
	isKind("is_bool", "true or false", `is_bool(get("data.undo"))`, Bool),
	isKind("is_object", "an object", `is_object(get("data.options"))`, Object),
	isKind("is_list", "a list", `is_list(get("data.answers"))`, List),
}

func chooseFrom(_ *Frame, args []Value) Value {
	if args[0].kind != Object {
		return wrongKind("choose", "an object as table", args[0])
	}
	if args[1].kind == Text {
		if v, ok := lookupMember(args[0], args[1].str()); ok {
			return v
		}
	}
	return args[2]
}

// bindChoose turns a constant table into a map.
func bindChoose(_ *Binder, consts []*Value) (implementation, error) {
	table := consts[0]
	if table == nil || table.kind != Object {
		return chooseFrom, nil
	}
	values := members(*table)
	return func(f *Frame, args []Value) Value {
		if args[1].kind == Text {
			if v, ok := values[args[1].str()]; ok {
				return v
			}
		}
		return args[2]
	}, nil
}

func isKind(name, what, example string, kinds ...Kind) *Function {
	return &Function{
		Name: name, Params: []Param{dyn("value")}, Result: cel.BoolType,
		Doc: "Whether the value is " + what + ".", Example: example, Gives: `true`,
		one: func(f *Frame, arg Value) Value {
			for _, k := range kinds {
				if arg.kind == k {
					return BoolValue(true)
				}
			}
			return BoolValue(false)
		},
	}
}
