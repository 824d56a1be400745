package expr

import (
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/erbd/erbd/engine/event"
)

var eventFunctions = []*Function{
	{
		Name: "get", Params: []Param{literal("path")}, Result: cel.DynType,
		Doc:     "The value at a dotted path of objects; null where anything on the way is missing. Empty text, lists and objects count as null.",
		Example: `get("data.id")`, Gives: `"c519"`,
		node: atPath(func(s event.Slot, _ string) Node { return func(f *Frame) Value { return f.present(s) } }),
	},
	{
		Name: "find", Params: []Param{literal("key")}, Result: cel.DynType,
		Doc:     "The value of a key wherever it is: the event itself first, then the objects in it, in order and in depth. Lists are not searched. Empty values count as null.",
		Example: `find("session")`, Gives: `"77e9"`,
		node: func(b *Binder, consts []*Value) (Node, error) {
			key, err := constPath(consts[0])
			if err != nil {
				return nil, err
			}
			s := b.Scanner.Find(key)
			b.read(key)
			return func(f *Frame) Value { return f.present(s) }, nil
		},
	},
	{
		Name: "require", Params: []Param{literal("path")}, Result: cel.DynType,
		Doc:     "Like get, but an event without the value is rejected.",
		Example: `require("context.course_id")`, Gives: `"course-v1:edX+DemoX+2021"`,
		node: atPath(func(s event.Slot, path string) Node {
			return func(f *Frame) Value {
				if v := f.present(s); v.kind != Null {
					return v
				}
				return reject("%s is required but absent or empty", path)
			}
		}),
	},
	{
		Name: "first", Params: []Param{literal("path")}, Variadic: true, Result: cel.DynType,
		Doc:     "The first of several paths that has a value other than null, 0 or false; where none has, the last one's value.",
		Example: `first("data.current_time", "data.currentTime")`, Gives: `69.855`,
		node: func(b *Binder, consts []*Value) (Node, error) {
			slots := make([]event.Slot, len(consts))
			for i, c := range consts {
				path, err := constPath(c)
				if err != nil {
					return nil, err
				}
				slots[i] = b.Scanner.Path(path)
				b.read(path)
			}
			last := slots[len(slots)-1]
			return func(f *Frame) Value {
				for _, s := range slots[:len(slots)-1] {
					if v := f.present(s); v.truthy() || v.kind == Failed {
						return v
					}
				}
				return f.present(last)
			}, nil
		},
	},
	typedGet("get_text", "text", cel.DynType, `get_text("data.id")`, `"c519"`, Text),
	typedGet("get_number", "a number", cel.DynType, `get_number("data.duration")`, `195`, Int, Double, Number),
	typedGet("get_bool", "true or false", cel.DynType, `get_bool("data.undo")`, `false`, Bool),
	typedGet("get_object", "an object", cel.DynType, `get_object("data.options")`, `{"followed":true}`, Object),
	typedGet("get_list", "a list", cel.DynType, `get_list("data.answers")`, `["a","b"]`, List),
	{
		Name: fnPath, Params: []Param{text("path")}, Result: cel.DynType,
		Doc:     "The value at a general gjson path, with list indexes, wildcards, queries and modifiers. Slower than get; empty values are kept.",
		Example: `path("data.answers.#")`, Gives: `2`,
		one: func(f *Frame, arg Value) Value {
			p, ok := arg.Text()
			if !ok {
				return wrongKind("path", "text", arg)
			}
			if err := checkGeneralPath(p); err != nil {
				return fail("path: %s", err)
			}
			return f.gjson(p)
		},
		impure: true,
	},
}

// internalFunctions stand for syntax: {…}, null, event.a.b, value.member, has(…) and value[…].
var internalFunctions = []*Function{
	{Name: fnObject, Params: []Param{dyn("object")}, Result: cel.DynType, run: func(_ *Frame, a []Value) Value { return a[0] }},
	{Name: fnNull, Result: cel.DynType, run: func(*Frame, []Value) Value { return NullValue }},
	{
		Name: fnEvent, Params: []Param{literal("path")}, Result: cel.DynType,
		node: atPath(func(s event.Slot, _ string) Node { return func(f *Frame) Value { return f.slot(s) } }),
	},
	{
		Name: fnHasEvent, Params: []Param{literal("path")}, Result: cel.BoolType,
		node: atPath(func(s event.Slot, _ string) Node {
			return func(f *Frame) Value { return BoolValue(f.spans[s].Kind != 0) }
		}),
	},
	{Name: fnField, Params: []Param{dyn("value"), literal("key")}, Result: cel.DynType, two: func(f *Frame, object, key Value) Value { return f.member(object, event.KeyOf(key.str())) }},
	{Name: fnHasField, Params: []Param{dyn("value"), literal("key")}, Result: cel.BoolType, run: func(f *Frame, a []Value) Value {
		_, ok := lookupMember(a[0], a[1].str())
		return BoolValue(ok)
	}},
	{Name: fnIndex, Params: []Param{dyn("value"), dyn("key")}, Result: cel.DynType, two: func(f *Frame, object, key Value) Value { return f.index(object, key) }},
}

const (
	fnEvent    = "@event"
	fnHasEvent = "@has_event"
	fnPath     = "path"
	fnField    = "@field"
	fnHasField = "@has_field"
	fnIndex    = "@index"
	fnNull     = "@null"
	fnObject   = "@object"
	// fnJSONASCII is the function whose texts statement ids are computed from.
	fnJSONASCII = "json_ascii"
	fnValues    = "values"
)

// atPath makes the node of an accessor of one path.
func atPath(read func(s event.Slot, path string) Node) func(*Binder, []*Value) (Node, error) {
	return func(b *Binder, consts []*Value) (Node, error) {
		path, err := constPath(consts[0])
		if err != nil {
			return nil, err
		}
		b.read(path)
		return read(b.Scanner.Path(path), path), nil
	}
}

func constPath(c *Value) (string, error) {
	return c.str(), event.CheckPath(c.str())
}

func typedGet(name, want string, result *cel.Type, example, gives string, kinds ...Kind) *Function {
	return &Function{
		Name: name, Params: []Param{literal("path")}, Result: result,
		Doc:     "Like get, but an event that has something other than " + want + " there is rejected. An absent value is null.",
		Example: example, Gives: gives,
		node: atPath(func(s event.Slot, path string) Node {
			return func(f *Frame) Value {
				v := f.present(s)
				if v.kind == Null || v.kind == Failed {
					return v
				}
				for _, k := range kinds {
					if v.kind == k {
						return v
					}
				}
				return fail("%s: expected %s, got %s", path, want, v.kind)
			}
		}),
	}
}

// lookupMember finds a member of an object; where a key comes twice the last one counts.
func lookupMember(v Value, key string) (Value, bool) {
	if v.kind != Object {
		return NullValue, false
	}
	found := event.Member(v.str(), key)
	return spanValue(v.str(), found), found.Kind != 0
}

func (f *Frame) index(v, key Value) Value {
	switch {
	case v.kind == Null:
		return NullValue
	case v.kind == Object && key.kind == Text:
		return f.member(v, event.KeyOf(key.str()))
	case v.kind == Object && key.kind == Null:
		return NullValue
	case v.kind == List && key.kind == Int:
		return f.item(v, key.int())
	}
	return fail("%s cannot be indexed with %s", v.kind, key.kind)
}

// item is the n-th item of a list, or the value of the n-th member of an object.
func (f *Frame) item(v Value, n int64) Value {
	found, i := NullValue, int64(0)
	f.each(v.str(), func(m event.Span) bool {
		if i == n {
			found = spanValue(v.str(), m)
		}
		i++
		return i <= n
	})
	return found
}

// at walks a dotted path of objects inside a value.
func (f *Frame) at(v Value, path []event.Key) Value {
	for _, key := range path {
		v = f.member(v, key)
	}
	return v
}

func keysOf(path string) (keys []event.Key) {
	for key := range strings.SplitSeq(path, ".") {
		keys = append(keys, event.KeyOf(key))
	}
	return keys
}
