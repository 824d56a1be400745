package expr

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/erbd/erbd/engine/event"
)

// routeFunctions serve the match_params of routers, which become calls of them.
var routeFunctions = []*Function{
	{
		Name: "param", Params: []Param{text("key")}, Result: cel.DynType,
		Doc:     "The value that a key of match_params means: a dotted key is a path; a bare key is looked for in the event itself, then in its context, then in its data.",
		Example: `param("course_id")`, Gives: `"course-v1:edX+DemoX+2021"`, impure: true,
		bind: func(b *Binder, consts []*Value) (implementation, error) {
			if consts[0] == nil {
				return nil, fmt.Errorf("the key must be known when the expression is loaded")
			}
			key := consts[0].str()
			if err := event.CheckPath(key); err != nil {
				return nil, err
			}
			paths := []string{key}
			if !strings.Contains(key, ".") {
				paths = append(paths, "context."+key, "data."+key)
			}
			var slots []event.Slot
			for _, p := range paths {
				slots = append(slots, b.Scanner.Path(p))
				b.read(p)
			}
			return func(f *Frame, _ []Value) Value {
				for _, s := range slots {
					switch span := f.spans[s]; span.Kind {
					case 0:
					case '0': // its digits as they stand, which a pattern may ask for
						return stringValue(Number, f.json[span.Start:span.End])
					default:
						return f.slot(s)
					}
				}
				return NullValue
			}, nil
		},
	},
	{
		Name: "search", Params: []Param{dyn("value"), text("pattern")}, Result: cel.BoolType,
		Doc:     "Whether an RE2 regular expression is found anywhere in a text, or in the JSON text of a number or boolean. False for anything else.",
		Example: `search("edx.video.played", "video")`, Gives: `true`,
		bind: func(_ *Binder, consts []*Value) (implementation, error) {
			if consts[1] == nil {
				return nil, fmt.Errorf("the pattern must be known when the expression is loaded")
			}
			re, err := compilePattern(consts[1].str())
			if err != nil {
				return nil, fmt.Errorf("bad regular expression: %s", regexpReason(err))
			}
			return func(f *Frame, args []Value) Value {
				switch v := args[0]; v.kind {
				case Text:
					return BoolValue(re.MatchString(v.str()))
				case Int, Double, Number, Bool:
					return BoolValue(re.Match(v.AppendJSON(nil)))
				}
				return BoolValue(false)
			}, nil
		},
	},
}

// maxPattern bounds a regular expression of match_params in bytes. RE2 takes time and memory linear in it.
const maxPattern = 2048

func compilePattern(p string) (*pattern, error) {
	if len(p) > maxPattern {
		return nil, fmt.Errorf("it is longer than %d bytes", maxPattern)
	}
	return compileRegexp(p)
}
