package expr

import (
	"github.com/google/cel-go/cel"
	"github.com/tidwall/gjson"
)

var jsonFunctions = []*Function{
	{
		Name: "at", Params: []Param{dyn("value"), text("path")}, Result: cel.DynType,
		Doc:     "The value at a dotted path inside an object; null where anything on the way is missing.",
		Example: `at(get("data.options"), "followed")`, Gives: `true`,
		run: func(f *Frame, args []Value) Value { return at(args[0], args[1].str) },
	},
	{
		Name: "keys", Params: []Param{dyn("object")}, Result: cel.DynType,
		Doc:     "The keys of an object in their order, as a list. Null gives an empty list.",
		Example: `keys(get("data.options"))`, Gives: `["followed"]`,
		run: func(f *Frame, args []Value) Value {
			return listOf(f, "keys", args[0], func(dst []byte, k, _ gjson.Result) []byte { return AppendString(dst, k.Str) })
		},
	},
	{
		Name: "values", Params: []Param{dyn("object")}, Result: cel.DynType,
		Doc:     "The values of an object in their order, as a list. Null gives an empty list.",
		Example: `values(get("data.options"))`, Gives: `[true]`,
		run: func(f *Frame, args []Value) Value {
			return listOf(f, "values", args[0], func(dst []byte, _, v gjson.Result) []byte { return append(dst, v.Raw...) })
		},
	},
	{
		Name: "count", Params: []Param{dyn("value")}, Result: cel.IntType,
		Doc:     "How many members an object or a list has; 0 for null and for anything else.",
		Example: `count(get("data.answers"))`, Gives: `2`,
		run: func(f *Frame, args []Value) Value {
			n := int64(0)
			if raw := args[0].Raw(); raw != "" {
				gjson.Parse(raw).ForEach(func(_, _ gjson.Result) bool { n++; return true })
			}
			return IntValue(n)
		},
	},
	{
		Name: "first_with", Params: []Param{dyn("object"), text("path")}, Result: cel.DynType,
		Doc:     "The first member of an object or a list whose own value at a path is not null or empty; null where none is.",
		Example: `first_with({"a": {"x": ""}, "b": {"x": 1}}, "x")`, Gives: `{"x":1}`,
		run: func(f *Frame, args []Value) Value {
			found := NullValue
			if raw := args[0].Raw(); raw != "" {
				gjson.Parse(raw).ForEach(func(_, m gjson.Result) bool {
					if v := JSONValue(m.Raw); !at(v, args[1].str).isEmpty() {
						found = v
						return false
					}
					return true
				})
			}
			return found
		},
	},
	{
		Name: "json_text", Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "A value as JSON text, with a space behind colons and commas. Null stays null.",
		Example: `json_text(["é", 1.0])`, Gives: `"[\"é\", 1.0]"`,
		run: jsonFunction(false),
	},
	{
		Name: "json_ascii", Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "Like json_text, with all characters beyond ASCII written as \\uXXXX: the form that statement ids are computed from.",
		Example: `json_ascii(["é"])`, Gives: `"[\"\\u00e9\"]"`,
		run: jsonFunction(true),
	},
	{
		Name: "prune", Params: []Param{dyn("object")}, Result: cel.DynType,
		Doc:     "An object without the members that are null, at any depth; an object that loses all its members goes as well. Lists are kept as they are.",
		Example: `prune({"a": null, "b": {"c": null}, "d": 0})`, Gives: `{"d":0}`,
		run: func(f *Frame, args []Value) Value {
			if args[0].kind != Object {
				return args[0]
			}
			start := len(f.scratch)
			f.scratch = appendPruned(f.scratch, args[0].str)
			return Value{kind: Object, str: f.since(start)}
		},
	},
}

func listOf(f *Frame, name string, v Value, item func(dst []byte, k, v gjson.Result) []byte) Value {
	if v.kind != Object && v.kind != Null {
		return wrongKind(name, "an object", v)
	}
	start := len(f.scratch)
	f.scratch = append(f.scratch, '[')
	if v.kind == Object {
		gjson.Parse(v.str).ForEach(func(k, m gjson.Result) bool {
			if len(f.scratch) > start+1 {
				f.scratch = append(f.scratch, ',')
			}
			f.scratch = item(f.scratch, k, m)
			return true
		})
	}
	f.scratch = append(f.scratch, ']')
	return Value{kind: List, str: f.since(start)}
}

func jsonFunction(ascii bool) implementation {
	return func(f *Frame, args []Value) Value {
		if args[0].kind == Null {
			return NullValue
		}
		start := len(f.scratch)
		switch v := args[0]; v.kind {
		case Object, List:
			f.scratch = appendSpaced(f.scratch, v.str, ascii)
		case Text:
			f.scratch = appendText(f.scratch, v.str, ascii)
		default:
			f.scratch = v.AppendJSON(f.scratch)
		}
		return TextValue(f.since(start))
	}
}

func appendPruned(dst []byte, raw string) []byte {
	dst = append(dst, '{')
	start := len(dst)
	gjson.Parse(raw).ForEach(func(k, v gjson.Result) bool {
		if v.Type == gjson.Null {
			return true
		}
		mark := len(dst)
		if mark > start {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, k.Str), ':')
		if !v.IsObject() {
			dst = append(dst, v.Raw...)
			return true
		}
		inner := len(dst)
		if dst = appendPruned(dst, v.Raw); len(dst) == inner+2 {
			dst = dst[:mark]
		}
		return true
	})
	return append(dst, '}')
}

// members reads an object into a map; where a key comes twice the last one counts.
func members(v Value) map[string]Value {
	m := map[string]Value{}
	gjson.Parse(v.str).ForEach(func(k, e gjson.Result) bool {
		m[k.Str] = JSONValue(e.Raw)
		return true
	})
	return m
}
