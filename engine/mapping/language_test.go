package mapping_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
)

// people is a directory of one user and one course; the user "slow" cannot be looked up for now.
type people struct{}

var errSlow = errors.New("connection refused")

func (people) User(_ context.Context, key string) (*lookup.User, error) {
	switch key {
	case "ann", "7":
		return &lookup.User{ID: 7, Username: "ann", Email: "ann@example.com", ExternalIDs: map[string]string{"xapi": "2f3c", "caliper": "c41d"}}, nil
	case "slow":
		return nil, errSlow
	}
	return nil, lookup.ErrUnknownUser
}

func (people) Course(_ context.Context, id string) (*lookup.Course, error) {
	switch {
	case !strings.HasPrefix(id, "course-v1:"):
		return nil, lookup.ErrBadCourseID
	case id == "course-v1:A+B+C":
		return &lookup.Course{ID: id, DisplayName: "Botany"}, nil
	}
	return nil, lookup.ErrUnknownCourse
}

// folder writes files, each under a "-- name --" line, to a folder of their own. A text without such a line is m.yaml.
func folder(t testing.TB, files string) string {
	t.Helper()
	dir := t.TempDir()
	if !strings.HasPrefix(files, "-- ") {
		files = "-- m.yaml --\n" + files
	}
	for part := range strings.SplitSeq(files[len("-- "):], "\n-- ") {
		name, text, ok := strings.Cut(part, " --\n")
		require.True(t, ok, part)
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o644))
	}
	return dir
}

const head = "version: 1\nbackend: xapi\n"

// load compiles mapping files; a single file needs no head. The files under filters/ are filters.
func load(t testing.TB, files string) *mapping.Set {
	t.Helper()
	if !strings.HasPrefix(files, "-- ") && !strings.HasPrefix(files, "version:") {
		files = head + files
	}
	dir := folder(t, files)
	opt := mapping.Options{Backend: "xapi", Settings: `{"root":"https://lms.example","depth":3,"off":false}`, Directory: people{}}
	if _, err := os.Stat(filepath.Join(dir, "filters")); err == nil {
		opt.Filters, opt.FiltersName = os.DirFS(filepath.Join(dir, "filters")), "filters"
	}
	set, faults := mapping.Load(os.DirFS(dir), opt)
	require.Empty(t, faults.Render())
	return set
}

// transform gives the result of an event. Its bytes stay valid, as the worker is used once.
func transform(t testing.TB, set *mapping.Set, source string) mapping.Result {
	t.Helper()
	var p event.Parser
	ev, err := p.Parse([]byte(source))
	require.NoError(t, err)
	return set.NewWorker().Transform(t.Context(), ev)
}

// statements gives the statements of an event, which must be transformed, one a line.
func statements(t testing.TB, set *mapping.Set, source string) string {
	t.Helper()
	r := transform(t, set, source)
	require.Equal(t, mapping.Transformed, r.Outcome, "%v %v", r.Rejection, r.Err)
	var lines []string
	for _, s := range r.Statements {
		require.True(t, json.Valid(s.JSON), "%s", s.JSON)
		lines = append(lines, string(s.JSON))
	}
	return strings.Join(lines, "\n")
}

func TestValues(t *testing.T) {
	const source = `{"name":"e","data":{"n":195,"f":1.50,"t":"é \"q\"","yes":true,"zero":0,"none":null,"empty":"","list":[1, 2],"o":{"b":1,"a":null},"oo":{"x":{}},
		"big":123456789012345678901234567890,"big_list":[123456789012345678901234567890,1.10],"max":9223372036854775807,"tiny":0.1,"e":1e3,"lone":{"a":"\ud800\u0041b","\ud800\u0041":1,"\ud800\u0042":2}}}`
	tests := []struct{ name, yaml, want string }{
		// literals
		{"text", `{v: played}`, `{"v":"played"}`},
		{"whole number", `{v: 42}`, `{"v":42}`},
		{"double", `{v: 1.0}`, `{"v":1.0}`},
		{"boolean", `{v: true}`, `{"v":true}`},
		{"no YAML 1.1 booleans", `{v: yes}`, `{"v":"yes"}`},
		{"quoted number is text", `{v: "42"}`, `{"v":"42"}`},
		{"null is absent", `{v: null, w: 1}`, `{"w":1}`},
		{"time stays text", `{v: 2021-05-01}`, `{"v":"2021-05-01"}`},
		{"list", `{v: [a, 1, [b]]}`, `{"v":["a",1,["b"]]}`},
		{"beyond 64 bits", `{v: 123456789012345678901234567890}`, `{"v":123456789012345678901234567890}`},
		{"escaped", `{v: "$${x}", w: "a $${b} c"}`, `{"v":"${x}","w":"a ${b} c"}`},
		{"dollar alone", `{v: "$5 {x}"}`, `{"v":"$5 {x}"}`},
		{"text for JSON", `{v: "a\"b\\c\n\u0001é😀"}`, `{"v":"a\"b\\c\n\u0001é😀"}`},
		{"key for JSON", `{"a\"b\n": 1}`, `{"a\"b\n":1}`},
		{"empty text stays", `{v: ""}`, `{"v":""}`},
		// one expression keeps its type
		{"int", `{v: '${get("data.n")}'}`, `{"v":195}`},
		{"double from the event", `{v: '${get("data.f")}'}`, `{"v":1.5}`},
		{"exponent", `{v: '${get("data.e")}'}`, `{"v":1000.0}`},
		{"string", `{v: '${get("data.t")}'}`, `{"v":"é \"q\""}`},
		{"bool", `{v: '${get("data.yes")}'}`, `{"v":true}`},
		{"zero is a value", `{v: '${get("data.zero")}'}`, `{"v":0}`},
		{"object", `{v: '${get("data.o")}'}`, `{"v":{"b":1,"a":null}}`},
		{"list from the event", `{v: '${get("data.list")}'}`, `{"v":[1, 2]}`},
		{"exact beyond 64 bits", `{v: '${get("data.big")}', w: '${get("data.big_list")}', m: '${get("data.max")}'}`, `{"v":123456789012345678901234567890,"w":[123456789012345678901234567890,1.10],"m":9223372036854775807}`},
		{"shortest double", `{v: '${get("data.tiny")}'}`, `{"v":0.1}`},
		{"spaces in the braces", `{v: '${ 1 + 1 }'}`, `{"v":2}`},
		{"braces and quotes inside", `{v: '${ {"a": "}"}.a + ''}'' }'}`, `{"v":"}}"}`},
		{"comment inside", "\n  v: |-\n    ${1 // } \n    + 1}", `{"v":2}`},
		// interpolation
		{"text around", `{v: 'a ${get("data.t")} b'}`, `{"v":"a é \"q\" b"}`},
		{"numbers in text", `{v: '${get("data.n")}/${get("data.f")}/${get("data.big")}'}`, `{"v":"195/1.5/123456789012345678901234567890"}`},
		{"booleans in text", `{v: 'is ${get("data.yes")}'}`, `{"v":"is True"}`},
		{"null in text makes it absent", `{v: 'a ${get("data.none")}', w: 1}`, `{"w":1}`},
		{"constants in text", `{v: '${settings.root}/x/${name}', w: 'a${null}'}`, `{"v":"https://lms.example/x/e"}`},
		{"two in a row", `{v: '${"a"}${get("data.n")}'}`, `{"v":"a195"}`},
		{"escaped beside", `{v: '$${${get("data.n")}}'}`, `{"v":"${195}"}`},
		// null
		{"null through selection", `{v: '${event.data.none.x.y}', w: '${get("data.t.x")}', x: 1}`, `{"x":1}`},
		{"empty counts as null for get", `{v: '${get("data.empty")}', w: '${event.data.empty}'}`, `{"w":""}`},
		{"objects vanish with their members", `{o: {a: '${get("data.none")}', b: {c: null}}, w: 1}`, `{"w":1}`},
		{"list items vanish", `{l: ['${get("data.none")}', '${get("data.n")}'], m: ['${get("data.none")}']}`, `{"l":[195]}`},
		{"nulls inside values of the event stay", `{v: '${get("data.o")}', w: '${get("data.oo")}'}`, `{"v":{"b":1,"a":null},"w":{"x":{}}}`},
		{"first member absent", `{a: '${get("data.none")}', b: 1, c: '${get("data.none")}'}`, `{"b":1}`},
		// lone surrogates stand for themselves and take nothing with them
		{"lone surrogates", `{v: '${get("data.lone.a")}', w: '${text(get("data.lone.a"))}x', k: '${keys(get("data.lone"))}', o: '${merge(get("data.lone"), {})}', t: '${json_text(get("data.lone"))}', p: '${prune(get("data.lone"))}', l: '${[1].map(x, get("data.lone"))}', m: '${[1].map(x, get_text("data.lone.a"))}'}`,
			`{"v":"�Ab","w":"�Abx","k":["a","�A","�B"],"o":{"a":"\ud800\u0041b","�A":1,"�B":2},"t":"{\"a\": \"�Ab\", \"�A\": 1, \"�B\": 2}","p":{"a":"\ud800\u0041b","�A":1,"�B":2},"l":[{"a":"\ud800\u0041b","\ud800\u0041":1,"\ud800\u0042":2}],"m":["�Ab"]}`},
		// directives
		{"keep", `{o: {$keep: true, a: '${get("data.none")}'}, p: {$keep: True}, q: {$keep: false, a: null}, w: 1}`, `{"o":{},"p":{},"w":1}`},
		{"when true", `{o: {$when: '${get("data.n") == 195}', a: 1}, w: 1}`, `{"o":{"a":1},"w":1}`},
		{"when false", `{o: {$when: '${get("data.n") == 1}', a: 1}, w: 1}`, `{"w":1}`},
		{"when false at the end", `{w: 1, o: {$when: '${get("data.n") == 1}', a: 1}}`, `{"w":1}`},
		{"when false at every end", `{w: {v: 1, o: {$when: '${get("data.n") == 1}', a: 1}}}`, `{"w":{"v":1}}`},
		{"when false in front of the end", `{w: {v: 1, o: {$when: '${get("data.n") == 1}', a: 1}, p: '${get("data.none")}'}}`, `{"w":{"v":1}}`},
		{"when in when", `{w: 1, o: {$when: '${get("data.n") == 195}', a: 1, p: {$when: '${get("data.n") == 1}', b: 2}}}`, `{"w":1,"o":{"a":1}}`},
		{"when known at load", `{o: {$when: '${settings.off}', a: '${require("data.no")}'}, w: 1}`, `{"w":1}`},
		{"when in a list", `{l: [{$when: '${get("data.n") == 1}', a: 1}, {a: 2}, {$when: '${get("data.n") == 1}', a: 3}], m: [{$when: '${get("data.n") == 1}', a: 1}]}`, `{"l":[{"a":2}]}`},
		{"when and keep", `{o: {$when: '${get("data.n") == 1}', $keep: true}, p: {$when: '${get("data.n") == 195}', $keep: true}}`, `{"p":{}}`},
		{"value", `{o: {$value: '${get("data.n")}'}, p: {$when: '${get("data.n") == 1}', $value: 3}, q: {$value: [1]}}`, `{"o":195,"q":[1]}`},
		// names
		{"name, settings", `{v: '${name}', w: '${settings.depth}'}`, `{"v":"e","w":3}`},
		{"whole event", `{v: '${event.data.list}', w: '${is_object(event)}'}`, `{"v":[1, 2],"w":true}`},
		// text styles
		{"folded", "\n  v: >-\n    ${get(\"data.n\") == 195\n      ? \"yes\" : \"no\"}", `{"v":"yes"}`},
		{"literal", "\n  v: |\n    a\n    ${get(\"data.n\")}\n", `{"v":"a\n195\n"}`},
		{"unicode in an expression", `{v: '${"ümlaut " + get("data.t") + " 日本"}'}`, `{"v":"ümlaut é \"q\" 日本"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, "events: {e: null}\nstatement: "+tt.yaml)
			require.Equal(t, tt.want, statements(t, set, source))
		})
	}
}

func TestPruneEmpties(t *testing.T) {
	set := load(t, `
prune: empties
events: {e: null}
statement:
  a: ""
  b: '${get("data.none")}'
  c: '${event.data.empty}'
  d: []
  e: {x: null, y: ""}
  f: '${event.data.o}'
  g: ['', '${event.data.empty}', {z: null}]
  h: '${event.data.list}'
  i: 0
  j: false
  k: '${event.data.blank}'
`)
	require.JSONEq(t, `{"e":{},"f":{"p":{},"r":[null,""],"s":0,"t":false},"g":[{}],"h":[{"a":null}],"i":0,"j":false}`,
		statements(t, set, `{"name":"e","data":{"none":null,"empty":"","o":{"n":null,"e":"","l":[],"o":{},"p":{"q":null},"r":[null,""],"s":0,"t":false},"list":[{"a":null}],"blank":{ }}}`))
}

func TestLets(t *testing.T) {
	t.Run("lazy, in any order", func(t *testing.T) {
		set := load(t, `
events: {e: null}
let:
  c: ${a + b}
  refused: ${reject("never needed")}
  a: ${get("data.a")}
  tree: {x: "${c}", y: "${get(\"data.none\")}"}
  b: b-${a}
  list: ["${a}", 2]
statement: {v: "${c}", w: "${tree}", x: "${tree.x}", l: "${list}", m: "${list[0]}"}
`)
		require.Equal(t, `{"v":"1b-1","w":{"x":"1b-1"},"x":"1b-1","l":["1",2],"m":"1"}`, statements(t, set, `{"name":"e","data":{"a":"1"}}`))
	})
	t.Run("refused only where needed", func(t *testing.T) {
		set := load(t, `
events: {e: null}
let: {id: '${require("data.id")}'}
statement: {v: 1, id: '${get("data.a") == 1 ? id : "none"}'}
`)
		require.Equal(t, `{"v":1,"id":"none"}`, statements(t, set, `{"name":"e","data":{"a":2}}`))
		r := transform(t, set, `{"name":"e","data":{"a":1}}`)
		require.EqualError(t, rejection(t, r), "xapi/m.yaml:5:14: let id: data.id is required but absent or empty")
	})
	t.Run("once", func(t *testing.T) {
		counter := &counting{}
		dir := folder(t, head+`
events: {e: null}
let: {who: '${user("ann", "email")}'}
statement: {a: "${who}", b: "${who}", c: "x ${who}"}
children: {for_each: '${get("data.list")}', statement: {d: "${item}"}}
`)
		set, faults := mapping.Load(os.DirFS(dir), mapping.Options{Backend: "xapi", Directory: counter})
		require.Empty(t, faults.Render())
		transform(t, set, `{"name":"e","data":{"list":[1,2,3]}}`)
		require.Equal(t, 2, counter.users, "once for the statement, once for all its children")
	})
}

type counting struct {
	people
	users int
}

func (c *counting) User(ctx context.Context, key string) (*lookup.User, error) {
	c.users++
	return c.people.User(ctx, key)
}

func rejection(t testing.TB, r mapping.Result) *mapping.Rejection {
	t.Helper()
	require.Equal(t, mapping.Rejected, r.Outcome)
	require.NotNil(t, r.Rejection)
	require.Empty(t, r.Statements)
	return r.Rejection
}

func TestExtends(t *testing.T) {
	set := load(t, `-- base.yaml --
version: 1
backend: xapi
tables: {verbs: {a: {id: A, n: 1}}, other: {x: 1}}
let:
  root: base
  tree: {x: 1, y: {z: 1}}
  list: [1, 2]
statement:
  id: ${root}
  first: {a: 1, b: {c: 1, d: 2}}
  gone: {x: 1}
  list: [1, 2]
  value: {$value: "${root}"}
  members: {m: 1}
  kept: {$keep: true, x: 1}
  given: {$when: '${get("data.no") == 1}', x: 1}
-- middle.yaml --
version: 1
backend: xapi
extends: base
tables: {verbs: {a: {n: 2}, b: {id: B}}}
let: {root: middle, tree: {y: {w: 2}}}
statement:
  first: {b: {d: 3, e: "${tables.verbs.a.n}"}}
  last: "${tree}"
-- top.yaml --
version: 1
backend: xapi
extends: middle
events: {e: null}
let: {list: [3]}
statement:
  gone: null
  first: {a: null, b: {c: {x: 9}}}
  list: "${list}"
  value: {m: 1}
  members: {$value: 5}
  kept: {$keep: false, x: null}
  given: {$when: '${get("data.no") == null}'}
  verbs: "${tables.verbs}"
`)
	require.Equal(t, `{"id":"middle","first":{"b":{"c":{"x":9},"d":3,"e":2}},"list":[3],"value":{"m":1},"members":5,"given":{"x":1},`+
		`"last":{"x":1,"y":{"z":1,"w":2}},"verbs":{"a":{"id":"A","n":2},"b":{"id":"B"}}}`, statements(t, set, `{"name":"e"}`))
}

func TestEnabled(t *testing.T) {
	set := load(t, `-- a.yaml --
version: 1
backend: xapi
enabled: ${settings.depth == 3}
events: {a: null, both: null}
statement: {v: a}
-- b.yaml --
version: 1
backend: xapi
enabled: ${settings.off}
events: {b: {kind: x}, both: null}
statement: {v: "${args.kind}"}
alternatives: [{name: one}]
-- c.yaml --
version: 1
backend: xapi
enabled: True
events: {c: null}
statement: {v: c}
`)
	require.Equal(t, []string{"a", "both", "c"}, set.Names())
	require.Equal(t, `{"v":"a"}`, statements(t, set, `{"name":"both"}`))
}

func TestAlternatives(t *testing.T) {
	set := load(t, `
events:
  a: {kind: one}
  b: {kind: two}
  c: null
let: {v: general}
statement: {v: "${v}", kind: "${args.kind}"}
alternatives:
  - name: one
    when: ${args.kind == "one"}
    let: {v: "of one"}
  - name: browser
    when: ${get("data.source") == "browser"}
    statement: {v: null, browser: true}
  - name: two
    when: ${args.kind == "two"}
`)
	require.Equal(t, []string{"a", "b", "c"}, set.Names())
	require.True(t, set.Has("a"))
	require.False(t, set.Has("d"))
	tests := []struct{ event, alternative, want string }{
		{`{"name":"a","data":{"source":"browser"}}`, "one", `{"v":"of one","kind":"one"}`},
		{`{"name":"b","data":{"source":"browser"}}`, "browser", `{"kind":"two","browser":true}`},
		{`{"name":"b","data":{"source":"server"}}`, "two", `{"v":"general","kind":"two"}`},
		{`{"name":"c","data":{"source":"browser"}}`, "browser", `{"browser":true}`},
	}
	for _, tt := range tests {
		r := transform(t, set, tt.event)
		require.Equal(t, tt.alternative, r.Alternative)
		require.Equal(t, tt.want, statements(t, set, tt.event))
	}
	require.EqualError(t, rejection(t, transform(t, set, `{"name":"c"}`)), "xapi/m.yaml:11:3: when: no alternative of the mapping applies to the event")
	require.Equal(t, mapping.Unmapped, transform(t, set, `{"name":"d"}`).Outcome)
}

func TestChildren(t *testing.T) {
	set := load(t, `
events: {e: null}
let:
  course: ${require("data.course")}
  label: ${course}/${get("data.title")}
  score: ${get("data.score")}
statement: {id: parent, label: "${label}", score: "${score}"}
children:
  for_each: ${get("data.parts")}
  let:
    score: ${item.score}
    place: ${text(key) + ":" + label + ":" + text(score)}
  statement:
    id: ${key}
    label: ${place}
    score: ${number(score)}
    parent: {only: here}
`)
	tests := []struct{ name, parts, want string }{
		{"object", `{"x":{"score":1},"y":{"score":2}}`, "\n" + `{"id":"x","label":"x:C/T:1","score":1.0,"parent":{"only":"here"}}` + "\n" + `{"id":"y","label":"y:C/T:2","score":2.0,"parent":{"only":"here"}}`},
		{"list", `[{"score":3},{"score":4}]`, "\n" + `{"id":0,"label":"0:C/T:3","score":3.0,"parent":{"only":"here"}}` + "\n" + `{"id":1,"label":"1:C/T:4","score":4.0,"parent":{"only":"here"}}`},
		{"nothing", `null`, ""},
		{"empty", `{}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, `{"id":"parent","label":"C/T","score":9}`+tt.want,
				statements(t, set, `{"name":"e","data":{"course":"C","title":"T","score":9,"parts":`+tt.parts+`}}`))
		})
	}
	t.Run("all or nothing", func(t *testing.T) {
		r := transform(t, set, `{"name":"e","data":{"course":"C","title":"T","parts":{"x":{"score":1},"y":{"score":"secret"},"z":{"score":1}}}}`)
		require.EqualError(t, rejection(t, r), "xapi/m.yaml:18:14: score: number: expected a number, got text")
	})
	t.Run("wrong kind", func(t *testing.T) {
		r := transform(t, set, `{"name":"e","data":{"course":"C","parts":"secret"}}`)
		require.EqualError(t, rejection(t, r), "xapi/m.yaml:11:15: children.for_each: for_each needs a list or an object, it is text (reads data.parts: text)")
	})
}

func TestStatementIDs(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"constant", `{id: a-b, v: 1}`, "a-b"},
		{"constant at the end", `{v: 1, id: a-b}`, "a-b"},
		{"expression", `{v: 1, id: '${get("data.id")}'}`, `q"é`},
		{"text around", `{v: 1, id: 'urn:${get("data.id")}'}`, `urn:q"é`},
		{"absent", `{v: 1, id: '${get("data.no")}'}`, ""},
		{"none", `{v: 1, object: {id: inner}}`, ""},
		{"number", `{v: 1, id: 5}`, "5"},
		{"filtered", `{v: 1, id: {$filter: p.get_id, $value: '${get("data.id")}'}}`, `new q"é`},
		{"whole statement filtered", `{$filter: p.get_statement, v: 1, id: '${get("data.id")}'}`, `newer q"é`},
		{"whole statement a value", `{$value: '${event.data}'}`, `q"é`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, "-- m.yaml --\n"+head+"events: {e: null}\nstatement: "+tt.yaml+"\n-- n.yaml --\n"+head+`
events: {other: null}
statement: {$filter: p.get_statement, id: {$filter: p.get_id, $value: 1}}
-- filters/f.yaml --
version: 1
backend: xapi
filters:
  - {at: p.get_id, value: "new ${result}"}
  - {at: p.get_statement, set: {id: "newer ${result.id}"}}
`)
			r := transform(t, set, `{"name":"e","data":{"v":1,"id":"q\"é"}}`)
			require.Equal(t, mapping.Transformed, r.Outcome, "%v", r.Rejection)
			require.Equal(t, tt.want, r.Statements[0].ID, "%s", r.Statements[0].JSON)
		})
	}
}

func TestRejections(t *testing.T) {
	tests := []struct{ name, yaml, data, want string }{
		{"required", `{a: {b: '${require("data.x")}'}}`, `{"x":""}`, `xapi/m.yaml:4:23: a.b: data.x is required but absent or empty`},
		{"typed", `{a: '${get_number("data.x")}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:19: a: data.x: expected a number, got text`},
		{"function", `{a: '${seconds(get("data.x"))}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:19: a: seconds: expected a number of seconds, got text (reads data.x: text)`},
		{"operator", `{a: '${get("data.x") + 1}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:19: a: "+" cannot be applied to text and a whole number; number(…) makes doubles of both (reads data.x: text)`},
		{"through a let", `{a: '${slow_let}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:3:20: let slow_let: number: expected a number, got text (reads data.x: text)`},
		{"object in text", `{a: 'x ${get("data.x")}'}`, `{"x":{"SECRET":1}}`, `xapi/m.yaml:4:21: a: an object cannot stand inside text (reads data.x: an object)`},
		{"condition", `{v: 1, a: {$when: '${get("data.x")}', b: 1}}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:33: a: $when must be true or false, it is text (reads data.x: text)`},
		{"asked for", `{a: '${reject("not wanted")}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:19: a: not wanted`},
		{"empty statement", `{a: '${get("data.no")}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:12: statement: the statement is empty`},
		{"no object", `{$value: '${get("data.x")}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:12: statement: a statement must be an object, it is text`},
		{"unknown user", `{a: '${user(get("data.x"), "email")}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:19: a: the user is unknown (reads data.x: text)`},
		{"unknown course", `{a: '${course_name(get("data.x"))}'}`, `{"x":"course-v1:SECRET"}`, `xapi/m.yaml:4:19: a: the course is unknown (reads data.x: text)`},
		{"malformed course", `{a: '${course_name(get("data.x"))}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:19: a: the course id is malformed (reads data.x: text)`},
		{"evaluated by the library", `{a: '${timestamp(get("data.x")).getFullYear()}'}`, `{"x":"SECRET"}`, `xapi/m.yaml:4:19: a: the text is no timestamp (reads data.x: text)`},
		{"index of a map", `{a: '${get("data.x")[get("data.y")]}'}`, `{"x":"SECRET","y":"SECRET"}`, `xapi/m.yaml:4:19: a: text cannot be indexed with text (reads data.x: text, data.y: text)`},
		{"number out of range", `{a: '${get("data.x")}'}`, `{"x":1e999}`, `xapi/m.yaml:4:19: a: the number is out of range (reads data.x: a number)`},
		{"not finite", `{a: '${1.0 / get("data.x")}'}`, `{"x":0.0}`, `xapi/m.yaml:4:19: a: the number is not finite (reads data.x: a number)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, head+"let: {slow_let: '${number(get(\"data.x\"))}'}\nstatement: "+tt.yaml+"\nevents: {e: null}")
			r := transform(t, set, `{"name":"e","data":`+strings.ReplaceAll(tt.data, "SECRET", secret)+`}`)
			err := rejection(t, r)
			if tt.want != "" {
				require.EqualError(t, err, tt.want)
			}
			require.Positive(t, err.Pos.Line)
			require.NotEmpty(t, err.Field)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func TestFailedLookUps(t *testing.T) {
	set := load(t, `
events: {e: null}
statement: {a: '${user(get("data.u"), "email")}', b: '${user_or(get("data.v"), "email", "?")}'}
`)
	require.Equal(t, `{"a":"ann@example.com","b":"?"}`, statements(t, set, `{"name":"e","data":{"u":7,"v":"nobody"}}`))
	for _, data := range []string{`{"u":"slow"}`, `{"u":7,"v":"slow"}`} {
		r := transform(t, set, `{"name":"e","data":`+data+`}`)
		require.Equal(t, mapping.Failed, r.Outcome)
		require.ErrorIs(t, r.Err, mapping.ErrLookup)
		require.ErrorIs(t, r.Err, errSlow)
		require.Empty(t, r.Statements)
	}
}
