package expr

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/tidwall/gjson"
)

var textFunctions = []*Function{
	{
		Name: "text", Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "A value as text: numbers by their digits, booleans as True and False. Null stays null; objects and lists are refused.",
		Example: `text(get("data.duration"))`, Gives: `"195"`,
		one: func(f *Frame, arg Value) Value {
			if arg.kind == Null || arg.kind == Text {
				return arg
			}
			start := len(f.scratch)
			out, ok := arg.AppendText(f.scratch)
			if !ok {
				return wrongKind("text", "a value that has a text", arg)
			}
			f.scratch = out
			return TextValue(f.since(start))
		},
	},
	textFunction("trim_end", "The text without the given characters at its end.", `trim_end("a/b//", "/")`, `"a/b"`, "characters",
		func(f *Frame, s, chars string) Value { return TextValue(strings.TrimRight(s, chars)) }),
	textFunction("trim_start", "The text without the given characters at its start.", `trim_start("//a", "/")`, `"a"`, "characters",
		func(f *Frame, s, chars string) Value { return TextValue(strings.TrimLeft(s, chars)) }),
	textFunction("before", "What stands before the first separator; the whole text where it has none.", `before("course-v1:edX", ":")`, `"course-v1"`, "separator",
		func(f *Frame, s, sep string) Value { head, _, _ := strings.Cut(s, sep); return TextValue(head) }),
	textFunction("after", "What stands behind the first separator; null where the text has none.", `after("course-v1:edX", ":")`, `"edX"`, "separator",
		func(f *Frame, s, sep string) Value {
			if _, tail, ok := strings.Cut(s, sep); ok {
				return TextValue(tail)
			}
			return NullValue
		}),
	textFunction("before_last", "What stands before the last separator; the whole text where it has none.", `before_last("a@b@c", "@")`, `"a@b"`, "separator",
		func(f *Frame, s, sep string) Value {
			if i := strings.LastIndex(s, sep); i >= 0 {
				return TextValue(s[:i])
			}
			return TextValue(s)
		}),
	textFunction("after_last", "What stands behind the last separator; null where the text has none.", `after_last("a@b@c", "@")`, `"c"`, "separator",
		func(f *Frame, s, sep string) Value {
			if i := strings.LastIndex(s, sep); i >= 0 {
				return TextValue(s[i+len(sep):])
			}
			return NullValue
		}),
	textFunction("remove", "The text without any occurrence of another text; removing null or nothing changes nothing.", `remove("/threads/77/", "77")`, `"/threads//"`, "what",
		func(f *Frame, s, what string) Value {
			if what == "" || !strings.Contains(s, what) {
				return TextValue(s)
			}
			return TextValue(strings.ReplaceAll(s, what, ""))
		}),
	textFunction("query_param", "The first value of a query parameter of a URL, decoded; null where the URL has none.", `query_param("http://x/?a=1%2B2", "a")`, `"1+2"`, "name",
		func(f *Frame, s, name string) Value {
			u, err := url.Parse(s)
			if err != nil {
				return NullValue
			}
			query, err := url.ParseQuery(u.RawQuery)
			if err != nil || !query.Has(name) {
				return NullValue
			}
			return TextValue(query.Get(name))
		}),
	{
		Name: "extract", Params: []Param{dyn("value"), literal("pattern")}, Result: cel.DynType,
		Doc:     "The first group (or the whole) of the first match of an RE2 regular expression; null where nothing matches.",
		Example: `extract("input_28e6_2_1", "^input_([0-9a-f]+)")`, Gives: `"28e6"`,
		bind: func(_ *Binder, consts []*Value) (implementation, error) {
			re, err := compileRegexp(consts[1].str())
			if err != nil {
				return nil, fmt.Errorf("bad regular expression: %w", err)
			}
			group := min(1, re.NumSubexp())
			return func(f *Frame, args []Value) Value {
				switch args[0].kind {
				case Null:
					return NullValue
				case Text:
				default:
					return wrongKind("extract", "text", args[0])
				}
				if !f.spend(re.steps(args[0].str())) {
					return failWith(f.over)
				}
				m := re.FindStringSubmatchIndex(args[0].str())
				if m == nil || m[2*group] < 0 {
					return NullValue
				}
				return TextValue(args[0].str()[m[2*group]:m[2*group+1]])
			}, nil
		},
	},
	{
		Name: "join_text", Params: []Param{dyn("list"), text("separator")}, Result: cel.DynType,
		Doc:     "The members of a list as one text. Null stays null.",
		Example: `join_text(["a", "b"], "[,]")`, Gives: `"a[,]b"`,
		two: func(f *Frame, first, second Value) Value {
			switch first.kind {
			case Null:
				return NullValue
			case List:
			default:
				return wrongKind("join_text", "a list", first)
			}
			var out []byte
			failed := NullValue
			gjson.Parse(first.str()).ForEach(func(_, m gjson.Result) bool {
				if out != nil {
					out = append(out, second.str()...)
				} else {
					out = []byte{}
				}
				v := JSONValue(m.Raw)
				var ok bool
				if out, ok = v.AppendText(out); !ok {
					failed = wrongKind("join_text", "members that have a text", v)
				}
				if !f.room(len(out)) {
					failed, ok = f.exceed(tooMuchMemory), false
				}
				return ok
			})
			if failed.kind == Failed {
				return failed
			}
			return TextValue(string(out))
		},
	},
}

// textFunction declares a function of a text and another text. A null text gives null; any other kind is refused.
func textFunction(name, doc, example, gives, what string, run func(f *Frame, s, arg string) Value) *Function {
	return &Function{
		Name: name, Params: []Param{dyn("value"), dyn(what)}, Result: cel.DynType, Doc: doc, Example: example, Gives: gives,
		two: func(f *Frame, first, second Value) Value {
			switch {
			case first.kind == Null:
				return NullValue
			case first.kind != Text:
				return wrongKind(name, "text", first)
			case second.kind == Null:
				return first
			case second.kind != Text:
				return wrongKind(name, "text as "+what, second)
			}
			return run(f, first.str(), second.str())
		},
	}
}
