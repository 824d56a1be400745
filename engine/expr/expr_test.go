package expr

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
)

// SampleEvent is the event that the examples of the function library are evaluated on.
const sampleEvent = `{"name":"play_video","timestamp":"2023-02-03T14:18:20Z","context":{"course_id":"course-v1:edX+DemoX+2021","session":"77e9","username":"learner1"},` +
	`"data":{"id":"c519","duration":195,"current_time":0,"currentTime":69.855,"undo":false,"options":{"followed":true},"answers":["a","b"],"big":123456789012345678901234567890,"none":null,"empty":""}}`

type directory struct{}

func (directory) User(_ context.Context, key string) (*lookup.User, error) {
	if key == "learner1" || key == "1" {
		return &lookup.User{ID: 1, Username: "learner1", Email: "learner1@example.com", ExternalIDs: map[string]string{"xapi": "88f7"}}, nil
	}
	return nil, lookup.ErrUnknownUser
}

func (directory) Course(_ context.Context, id string) (*lookup.Course, error) {
	if id == "course-v1:edX+DemoX+2021" {
		return &lookup.Course{ID: id, DisplayName: "Demonstration Course"}, nil
	}
	return nil, lookup.ErrUnknownCourse
}

// evaluate runs an expression both ways and demands the same answer of both.
func evaluate(t *testing.T, source string) Value {
	t.Helper()
	scope, err := NewScope([]string{"settings"}, nil)
	require.NoError(t, err)
	x, faults := scope.Compile(source)
	require.Empty(t, faults, source)
	vars := NewVariables(map[string]Value{"settings": JSONValue(`{"lms":{"root_url":"http://localhost:18000"},"flag":true}`)})
	var answers []Value
	for _, bind := range []func(*Binder) (Bound, []Fault){x.Bind, x.BindGeneral} {
		b := &Binder{Scanner: event.NewScanner(), Vars: vars}
		bound, faults := bind(b)
		require.Empty(t, faults, source)
		f := NewFrame(directory{})
		f.Begin(t.Context(), event.Event{JSON: []byte(sampleEvent)}, b.Scanner)
		f.Enter(vars)
		answers = append(answers, bound.Node(f).detached())
	}
	require.Equal(t, answers[0].JSON(), answers[1].JSON(), "closures and cel-go differ on %s (%v, %v)", source, answers[0].Failure(), answers[1].Failure())
	require.Equal(t, answers[0].kind, answers[1].kind, source)
	return answers[0]
}

func TestExamplesOfTheLibrary(t *testing.T) {
	for _, fn := range Functions() {
		if strings.HasPrefix(fn.Name, "@") {
			continue
		}
		t.Run(fn.Name, func(t *testing.T) {
			require.NotEmpty(t, fn.Doc)
			require.NotEmpty(t, fn.Example)
			require.Equal(t, fn.Gives, evaluate(t, fn.Example).JSON(), "%s\n%s", fn.Signature(), fn.Example)
		})
	}
}

func TestEvaluate(t *testing.T) {
	tests := []struct{ source, want string }{
		{`event.data.id`, `"c519"`},
		{`event.data.missing.deeper`, `null`},
		{`event.data.empty`, `""`},
		{`get("data.empty")`, `null`},
		{`get("data.big")`, `123456789012345678901234567890`},
		{`truthy(true) ? get("data.big") : null`, `123456789012345678901234567890`},
		{`has(event.data.none)`, `true`},
		{`has(event.data.nothing)`, `false`},
		{`has(get("data.options").followed)`, `true`},
		{`get("data.options").followed`, `true`},
		{`get("data.options")["followed"]`, `true`},
		{`get("data.answers")[1]`, `"b"`},
		{`get("data.answers")[7]`, `null`},
		{`get("data.answers").map(a, a + "!")`, `["a!","b!"]`},
		{`"b" in get("data.answers")`, `true`},
		{`get("data.id") in ["x", "c519"]`, `true`},
		{`"followed" in get("data.options")`, `true`},
		{`{"b": 1, "a": 2}.map(k, k)`, `["a","b"]`},
		{`parse_json("{\"z\": 1, \"b\": 2, \"a\": 3, \"z\": 4}").map(k, k)`, `["z","b","a"]`},
		{`get("data.options") in {"a": 1}`, `false`},
		{`get("data.duration") > 3.5`, `true`},
		{`get("data.duration") == 195.0`, `true`},
		{`get("data.id") + "/" + text(get("data.duration")) + "/x"`, `"c519/195/x"`},
		{`{"b": 1, "a": get("data.id")}`, `{"a":"c519","b":1}`},
		{`[1, get("data.id"), null]`, `[1,"c519",null]`},
		{`settings.lms.root_url + "/x"`, `"http://localhost:18000/x"`},
		{`settings.flag ? "yes" : reject("no")`, `"yes"`},
		{`get("data.id").startsWith("c5") && !get("data.undo")`, `true`},
		{`get("data.id").matches("^c[0-9]+$")`, `true`},
		{`get("data.none") == null || get("data.none") > 3`, `true`},
		{`size(get("data.answers")) + 1`, `3`},
		{`number(get("data.duration")) * 100.0`, `19500.0`},
		{`get("data.id").substring(1, 3).upperAscii()`, `"51"`},
		{`1e16`, `1e+16`},
		{`0.00001`, `1e-05`},
		{`json_text({"a": [1.50, "\u00e9", null, true]})`, `"{\"a\": [1.5, \"é\", null, true]}"`},
		{`time_iso("20210501T100000Z")`, `"2021-05-01T10:00:00+00:00"`},
		{`time_iso("2021-05-01T10:00:00.5+0530")`, `"2021-05-01T10:00:00.500000+05:30"`},
		{`duration_iso(-1)`, `"-PT1S"`},
		{`duration_iso(0)`, `"P0D"`},
		{`duration_iso_padded(0)`, `"PT00S"`},
		{`duration_iso_padded(5540)`, `"PT01H32M20S"`},
		{`duration_iso_padded(69.327)`, `"PT01M09.327S"`},
		{`duration_iso(93784.25)`, `"P1DT2H3M4.25S"`},
		{`user("1", "email")`, `"learner1@example.com"`},
		{`user(1.0, "xapi")`, `"88f7"`},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			v := evaluate(t, tt.source)
			require.Nil(t, v.Failure())
			require.Equal(t, tt.want, v.JSON())
		})
	}
}

func TestEvaluateFailures(t *testing.T) {
	tests := []struct{ source, want string }{
		{`require("data.nothing")`, "data.nothing is required but absent or empty"},
		{`seconds(get("data.id"))`, "seconds: expected a number of seconds, got text"},
		{`get_number("data.id")`, "data.id: expected a number, got text"},
		{`must(get("data.none"), "the thing")`, "the thing is required but absent or empty"},
		{`reject("not wanted")`, "not wanted"},
		{`get("data.none").map(x, x)`, "a loop needs a list or an object"},
		{`timestamp(get("data.id")).getFullYear()`, "the text is no timestamp"},
		{`number(get("data.duration")) / 0.0 > 1.0`, "the number is not finite"},
		{`get("data.big") / get("data.big")`, ""},
		{`user("ghost", "xapi")`, "the user is unknown"},
		{`user("learner1", "lti")`, `the user has no external id of type "lti"`},
		{`course_name("course-v1:x+y+z")`, "the course is unknown"},
		{`time_iso("yesterday")`, "time_iso: the text is no ISO 8601 time"},
		{`time_iso("2021-05-01T10:00:00")`, "time_iso: the time has no offset from UTC"},
		{`time_iso("2021-02-30T10:00:00Z")`, "time_iso: the text is no ISO 8601 time"},
		{`text(get("data.options"))`, "text: expected a value that has a text, got an object"},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			v := evaluate(t, tt.source)
			require.NotNil(t, v.Failure())
			if tt.want != "" {
				require.Equal(t, tt.want, v.Failure().Reason)
			}
		})
	}
}

func TestCompileFaults(t *testing.T) {
	tests := []struct{ source, at, want string }{
		{`gett("data.id")`, "gett", `unknown name or function "gett" (did you mean "get"?)`},
		{`"é" + recuire("x")`, "recuire", `unknown name or function "recuire" (did you mean "require"?)`},
		{`get(1)`, "", `get cannot be applied to (int) (it is get(path: text) → any)`},
		{`get("a" + "b")`, "", `get needs a literal path, known when the mapping is loaded (path(…) takes a computed path)`},
		{`get("data..id")`, "", `the path "data..id" has an empty step`},
		{`extract(get("data.id"), "(")`, "", "bad regular expression: missing closing ): `(`"},
		{`1 +`, "", "syntax error: the expression ends too early"},
		{``, "", "the expression is empty"},
		{`settings.lms.rot_url`, "", `there is no member "rot_url" here (did you mean "root_url"?)`},
		{`[1].map(a, [1].map(b, [1].map(c, c)))`, "", "loops stand 3 deep in one another, at most 2 are allowed"},
		{`"` + strings.Repeat("x", 5000) + `"`, "", "the expression has more than 4096 characters (split it with let)"},
	}
	for _, tt := range tests {
		t.Run(tt.source[:min(len(tt.source), 40)], func(t *testing.T) {
			scope, err := NewScope([]string{"settings"}, nil)
			require.NoError(t, err)
			x, faults := scope.Compile(tt.source)
			if len(faults) == 0 {
				_, faults = x.Bind(&Binder{Scanner: event.NewScanner(), Vars: NewVariables(map[string]Value{"settings": JSONValue(`{"lms":{"root_url":"x"}}`)})})
			}
			require.NotEmpty(t, faults)
			require.Equal(t, tt.want, faults[0].Error())
			if tt.at != "" {
				require.Equal(t, tt.at, tt.source[faults[0].From:faults[0].To])
			}
		})
	}
}

func TestCostIsBounded(t *testing.T) {
	scope, err := NewScope(nil, nil)
	require.NoError(t, err)
	x, faults := scope.Compile(`event.data.list.all(a, event.data.list.all(b, a == b || a != b))`)
	require.Empty(t, faults)
	b := &Binder{Scanner: event.NewScanner(), Vars: NewVariables(nil)}
	bound, faults := x.Bind(b)
	require.Empty(t, faults)
	f := NewFrame(directory{})
	f.Begin(t.Context(), event.Event{JSON: []byte(`{"data":{"list":[1` + strings.Repeat(",1", 2000) + `]}}`)}, b.Scanner)
	f.Enter(b.Vars)
	v := bound.Node(f)
	require.NotNil(t, v.Failure())
	require.Equal(t, "the expression takes too many steps for this event", v.Failure().Reason)
}

func BenchmarkNode(b *testing.B) {
	for _, source := range []string{`get("data.id")`, `seconds(first("data.current_time", "data.currentTime"))`, `uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", get("data.id") + "-" + get("timestamp"))`} {
		for name, general := range map[string]bool{"closure": false, "cel": true} {
			b.Run(source+"/"+name, func(b *testing.B) {
				scope, _ := NewScope(nil, nil)
				x, _ := scope.Compile(source)
				binder := &Binder{Scanner: event.NewScanner(), Vars: NewVariables(nil)}
				bound, _ := x.bind(binder, !general)
				f := NewFrame(directory{})
				f.Begin(b.Context(), event.Event{JSON: []byte(sampleEvent)}, binder.Scanner)
				f.Enter(binder.Vars)
				b.ReportAllocs()
				for b.Loop() {
					f.scratch = f.scratch[:0]
					bound.Node(f)
				}
			})
		}
	}
}
