package expr

import (
	"github.com/google/cel-go/cel"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
)

var jsonFunctions = []*Function{
	{
		Name: "at", Params: []Param{dyn("value"), text("path")}, Result: cel.DynType,
		Doc:     "The value at a dotted path inside an object; null where anything on the way is missing.",
		Example: `at(get("data.options"), "followed")`, Gives: `true`,
		bind: withPath(func(f *Frame, v Value, path []event.Key) Value { return f.at(v, path) }),
	},
	{
		Name: "keys", Params: []Param{dyn("object")}, Result: cel.DynType,
		Doc:     "The keys of an object in their order, as a list. Null gives an empty list.",
		Example: `keys(get("data.options"))`, Gives: `["followed"]`,
		one: func(f *Frame, arg Value) Value {
			return listOf(f, "keys", arg, func(dst []byte, key, _ string) []byte { return AppendString(dst, key) })
		},
	},
	{
		Name: fnValues, Params: []Param{dyn("object")}, Result: cel.DynType,
		Doc:     "The values of an object in their order, as a list. Null gives an empty list.",
		Example: `values(get("data.options"))`, Gives: `[true]`,
		one: func(f *Frame, arg Value) Value {
			return listOf(f, "values", arg, func(dst []byte, _, raw string) []byte { return append(dst, raw...) })
		},
	},
	{
		Name: "count", Params: []Param{dyn("value")}, Result: cel.IntType,
		Doc:     "How many members an object or a list has; 0 for null and for anything else.",
		Example: `count(get("data.answers"))`, Gives: `2`,
		one: func(f *Frame, arg Value) Value {
			n := int64(0)
			if raw := arg.Raw(); raw != "" {
				f.each(raw, func(event.Span) bool { n++; return true })
			}
			return IntValue(n)
		},
	},
	{
		Name: "first_with", Params: []Param{dyn("object"), text("path")}, Result: cel.DynType,
		Doc:     "The first member of an object or a list whose own value at a path is not null or empty; null where none is.",
		Example: `first_with({"a": {"x": ""}, "b": {"x": 1}}, "x")`, Gives: `{"x":1}`,
		bind: withPath(func(f *Frame, v Value, path []event.Key) Value {
			found := NullValue
			if raw := v.Raw(); raw != "" {
				f.each(raw, func(m event.Span) bool {
					v := spanValue(raw, m)
					if f.at(v, path).isEmpty() {
						return true
					}
					found = v
					return false
				})
			}
			return found
		}),
	},
	{
		Name: "json_text", Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "A value as JSON text, with a space behind colons and commas. Null stays null.",
		Example: `json_text(["é", 1.0])`, Gives: `"[\"é\", 1.0]"`,
		one: jsonFunction(false), write: jsonWriter(false),
	},
	{
		Name: fnJSONASCII, Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "Like json_text, with all characters beyond ASCII written as \\uXXXX: the form that statement ids are computed from.",
		Example: `json_ascii(["é"])`, Gives: `"[\"\\u00e9\"]"`,
		one: jsonFunction(true), write: jsonWriter(true),
	},
	{
		Name: "prune", Params: []Param{dyn("object")}, Result: cel.DynType,
		Doc:     "An object without the members that are null, at any depth; an object that loses all its members goes as well. Lists are kept as they are.",
		Example: `prune({"a": null, "b": {"c": null}, "d": 0})`, Gives: `{"d":0}`,
		one: func(f *Frame, arg Value) Value {
			if arg.kind != Object {
				return arg
			}
			start := len(f.scratch)
			f.scratch = appendPruned(f.scratch, arg.str())
			return stringValue(Object, f.since(start))
		},
	},
	{
		Name: "merge", Params: []Param{dyn("object"), dyn("other")}, Result: cel.DynType,
		Doc:     "An object with the members of another one added or put in place of its own. Null counts as an empty object.",
		Example: `merge({"a": 1, "b": 2}, {"b": 3})`, Gives: `{"a":1,"b":3}`,
		run: func(f *Frame, args []Value) Value {
			for _, v := range args {
				if v.kind != Object && v.kind != Null {
					return wrongKind("merge", "objects", v)
				}
			}
			over := map[string]string{}
			each(args[1], func(k, v gjson.Result) { over[textOf(k)] = v.Raw })
			start := len(f.scratch)
			f.scratch = append(f.scratch, '{')
			put := func(key, raw string) {
				if len(f.scratch) > start+1 {
					f.scratch = append(f.scratch, ',')
				}
				f.scratch = append(append(AppendString(f.scratch, key), ':'), raw...)
			}
			each(args[0], func(k, v gjson.Result) {
				if raw, ok := over[textOf(k)]; ok {
					put(textOf(k), raw)
					delete(over, textOf(k))
					return
				}
				put(textOf(k), v.Raw)
			})
			each(args[1], func(k, _ gjson.Result) {
				if raw, ok := over[textOf(k)]; ok {
					put(textOf(k), raw)
					delete(over, textOf(k))
				}
			})
			f.scratch = append(f.scratch, '}')
			return stringValue(Object, f.since(start))
		},
	},
	{
		Name: "drop_empty", Params: []Param{dyn("value"), literal("key")}, Variadic: true, Result: cel.DynType,
		Doc:     "A value without the members of these names that hold nothing: null, \"\", [], {} or an object of such. Objects and lists are searched to any depth.",
		Example: `drop_empty({"a": {"note": {"en": ""}}, "b": [{"note": "x"}]}, "note")`, Gives: `{"a":{},"b":[{"note":"x"}]}`,
		run: func(f *Frame, args []Value) Value {
			if args[0].kind != Object && args[0].kind != List {
				return args[0]
			}
			start := len(f.scratch)
			f.scratch = appendDropped(f.scratch, gjson.Parse(args[0].str()), args[1:])
			return stringValue(args[0].kind, f.since(start))
		},
	},
	{
		Name: "parse_json", Params: []Param{dyn("text")}, Result: cel.DynType,
		Doc:     "The value that a JSON text stands for; null where the text is no JSON.",
		Example: `parse_json("[1, 2]")`, Gives: `[1, 2]`,
		one: func(f *Frame, arg Value) Value {
			if s, ok := arg.Text(); ok && gjson.Valid(s) {
				return JSONValue(s)
			}
			return NullValue
		},
	},
}

func each(v Value, fn func(k, m gjson.Result)) {
	if v.kind == Object {
		gjson.Parse(v.str()).ForEach(func(k, m gjson.Result) bool { fn(k, m); return true })
	}
}

func appendDropped(dst []byte, r gjson.Result, names []Value) []byte {
	if !r.IsObject() && !r.IsArray() {
		return append(dst, r.Raw...)
	}
	dst = append(dst, r.Raw[0])
	start := len(dst)
	r.ForEach(func(k, m gjson.Result) bool {
		if r.IsObject() {
			for _, name := range names {
				if name.str() == textOf(k) && holdsNothing(m) {
					return true
				}
			}
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if r.IsObject() {
			dst = append(AppendString(dst, textOf(k)), ':')
		}
		dst = appendDropped(dst, m, names)
		return true
	})
	return append(dst, r.Raw[len(r.Raw)-1])
}

func holdsNothing(r gjson.Result) bool {
	switch {
	case r.IsObject():
		nothing := true
		r.ForEach(func(_, m gjson.Result) bool {
			nothing = holdsNothing(m)
			return nothing
		})
		return nothing
	case r.IsArray():
		return isEmptyJSON(r.Raw)
	}
	return r.Type == gjson.Null || r.Type == gjson.String && r.Str == ""
}

func listOf(f *Frame, name string, v Value, item func(dst []byte, key, raw string) []byte) Value {
	if v.kind != Object && v.kind != Null {
		return wrongKind(name, "an object", v)
	}
	start := len(f.scratch)
	f.scratch = append(f.scratch, '[')
	if v.kind == Object {
		event.Members(v.str(), func(key string, m event.Span) bool {
			if len(f.scratch) > start+1 {
				f.scratch = append(f.scratch, ',')
			}
			f.scratch = item(f.scratch, key, v.str()[m.Start:m.End])
			return true
		})
	}
	f.scratch = append(f.scratch, ']')
	return stringValue(List, f.since(start))
}

// withPath binds a function whose second argument is a dotted path, nearly always a literal.
func withPath(run func(f *Frame, v Value, path []event.Key) Value) func(*Binder, []*Value) (implementation, error) {
	return func(_ *Binder, consts []*Value) (implementation, error) {
		if consts[1] == nil {
			return func(f *Frame, args []Value) Value { return run(f, args[0], keysOf(args[1].str())) }, nil
		}
		path := keysOf(consts[1].str())
		return func(f *Frame, args []Value) Value { return run(f, args[0], path) }, nil
	}
}

func jsonFunction(ascii bool) func(f *Frame, arg Value) Value {
	return func(f *Frame, arg Value) Value {
		if arg.kind == Null {
			return NullValue
		}
		start := len(f.scratch)
		f.scratch = appendPython(f.scratch, arg, ascii)
		return TextValue(f.since(start))
	}
}

func jsonWriter(ascii bool) func(args []lowered) TextWriter {
	return func(args []lowered) TextWriter {
		arg := args[0].node
		return func(f *Frame, dst []byte) ([]byte, Value) {
			v := arg(f)
			if v.kind == Null || v.kind == Failed {
				return dst, v
			}
			return appendPython(dst, v, ascii), TextValue("")
		}
	}
}

// AppendASCII appends the value as json_ascii writes it.
func (v Value) AppendASCII(dst []byte) []byte { return appendPython(dst, v, true) }

// AppendASCIIText appends the inside of the JSON string of a text, as json_ascii writes it.
func AppendASCIIText(dst []byte, s string) []byte {
	start := len(dst)
	dst = appendText(dst, s, true)
	copy(dst[start:], dst[start+1:len(dst)-1])
	return dst[:len(dst)-2]
}

// appendPython writes a value as JSON the way Python does, whose bytes statement ids are computed from.
func appendPython(dst []byte, v Value, ascii bool) []byte {
	switch v.kind {
	case Object, List:
		return appendSpaced(dst, v.str(), ascii)
	case Text:
		return appendText(dst, v.str(), ascii)
	}
	return v.AppendJSON(dst)
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
		dst = append(AppendString(dst, textOf(k)), ':')
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
	gjson.Parse(v.str()).ForEach(func(k, e gjson.Result) bool {
		m[textOf(k)] = JSONValue(e.Raw)
		return true
	})
	return m
}
