package mapping_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

// TestExtensionPoints binds a filter to each extension point of the Python plugin, by both of its names, and sees what
// it does to an event that has the point.
func TestExtensionPoints(t *testing.T) {
	const course = `"course_id":"course-v1:A+B+C"`
	points := []struct{ point, event, data, at string }{
		{"xapi.transformer.xapi_transformer.get_actor", "load_video", `"id":"v"`, "actor"},
		{"xapi.transformer.xapi_transformer.get_verb", "load_video", `"id":"v"`, "verb"},
		{"xapi.transformer.xapi_transformer.get_context", "load_video", `"id":"v"`, "context"},
		{"xapi.completion_events.completion_created.get_object", "edx.completion.block_completion.changed", `"block_id":"b","completion":1.0`, "object"},
		{"xapi.enrollment_events.base_enrollment.get_object", "edx.course.enrollment.activated", ``, "object"},
		{"xapi.exam_events.base_exam.get_object", "edx.special_exam.timed.attempt.created", `"exam_content_id":"e"`, "object"},
		{"xapi.forum_events.base_forum_thread.get_object", "edx.forum.thread.created", `"id":"t"`, "object"},
		{"xapi.grading_events.subsection_graded.get_object", "edx.grades.subsection.grade_calculated", `"block_id":"b"`, "object"},
		{"xapi.grading_events.course_graded.get_object", "edx.grades.course.grade_calculated", ``, "object"},
		{"xapi.navigation_events.link_clicked.get_object", "edx.ui.lms.link_clicked", `"target_url":"u"`, "object"},
		{"xapi.navigation_events.outline_selected.get_object", "edx.ui.lms.outline.selected", `"target_url":"u"`, "object"},
		{"xapi.navigation_events.tab_navigation.get_object", "edx.ui.lms.sequence.next_selected", `"id":"s"`, "object"},
		{"xapi.problem_interaction_events.base_problems.get_object", "showanswer", `"problem_id":"p"`, "object"},
		{"xapi.problem_interaction_events.base_problem_check.get_object", "problem_check", `"problem_id":"p"`, "object"},
		{"xapi.video_events.base_video.get_object", "load_video", `"id":"v"`, "object"},
		{"xapi.certificate_events.generated_certificates.get_object", "edx.certificate.created", `"certificate_id":"c"`, "object"},
	}
	sub, err := fs.Sub(mappings.FS, "xapi")
	require.NoError(t, err)
	opt := mapping.Options{Backend: "xapi", Settings: settings, Directory: people{}, FiltersName: "filters"}
	plain, faults := mapping.Load(sub, opt)
	require.Empty(t, faults.Render())
	for _, prefix := range []string{"", "event_routing_backends.processors."} {
		var filters strings.Builder
		for _, p := range points {
			fmt.Fprintf(&filters, "\n  - {at: %s%s, set: {point: %s, was: '${result}'}}", prefix, p.point, p.point)
		}
		opt.Filters = os.DirFS(folder(t, "-- f.yaml --\n"+head+"filters:"+filters.String()))
		filtered, faults := mapping.Load(sub, opt)
		require.Empty(t, faults.Render())
		for _, p := range points {
			t.Run(prefix+p.point, func(t *testing.T) {
				source := fmt.Sprintf(`{"name":%q,"timestamp":"2023-02-03T14:18:20Z","context":{"user_id":7,"path":"/x/",%s},"data":{"user_id":7,%s}}`,
					p.event, course, strings.Trim(course+","+p.data, ","))
				before := gjson.Get(statements(t, plain, source), p.at)
				require.True(t, before.IsObject())
				after := gjson.Get(statements(t, filtered, source), p.at)
				require.Equal(t, p.point, after.Get("point").String())
				require.JSONEq(t, before.Raw, after.Get("was").Raw)
			})
		}
	}
}

const filterable = "-- m.yaml --\n" + head + `
events: {e: {kind: one}, other: {kind: two}}
let: {label: 'label ${get("data.id")}'}
statement:
  kind: ${args.kind}
  object:
    $filter: p.get_object
    id: ${get("data.id")}
    "a.b": {c: 1, "d*": 2}
    list: [1, {x: 1}]
    text: é
  absent: {$filter: p.get_absent, x: null}
  scalar: {$filter: p.get_scalar, $value: '${get("data.id")}'}
  two: {$filter: [p.get_first, p.get_second], x: 1}
  nested: {$filter: p.get_outer, inner: {$filter: p.get_inner, y: 1}}
  last: {$when: '${get("data.id") == "i"}', $filter: p.get_last, z: 1}
`

func TestFilters(t *testing.T) {
	const object = `"id":"i","a.b":{"c":1,"d*":2},"list":[1,{"x":1}],"text":"é"`
	tests := []struct{ name, filters, path, want string }{
		{"none", `[]`, "object", `{` + object + `}`},
		{"value", `[{at: p.get_object, value: {id: "new ${result.id}"}}]`, "object", `{"id":"new i"}`},
		{"null takes the value away", `[{at: p.get_object, value: null}]`, "@keys", `["kind","scalar","two","nested","last"]`},
		{"value of another type", `[{at: p.get_object, value: "${result.list}"}]`, "object", `[1,{"x":1}]`},
		{"set", `[{at: p.get_object, set: {id: "${label}", "a.b": {c: 3}, new: {deep: "${args.kind}"}}}]`, "object", `{"id":"label i","a.b":{"c":3,"d*":2},"list":[1,{"x":1}],"text":"é","new":{"deep":"one"}}`},
		{"set to null deletes", `[{at: p.get_object, set: {id: null, "a.b": null, text: '${get("data.no")}'}}]`, "object", `{"list":[1,{"x":1}]}`},
		{"set in a list", `[{at: p.get_object, set: {list: {"1": {x: 5}}}}]`, "object.list", `[1,{"x":5}]`},
		{"set a whole object", `[{at: p.get_object, set: {"a.b": {$value: {e: 1}}}}]`, "object.a\\.b", `{"e":1}`},
		{"set under a condition", `[{at: p.get_object, set: {text: {$when: '${get("data.id") == "i"}', $value: yes}, list: {$when: "${false}", x: 1}}}]`, "object", `{"id":"i","a.b":{"c":1,"d*":2},"text":"yes"}`},
		{"keys that look like paths", `[{at: p.get_object, set: {"a.b": {"d*": 3, "x|y": 1, "#": 2, "@z": 3, ":1": 4, "q\"": 5, "e\\f": 6, "é.": 7, "?": 8, "http://a.b/c": 10}}}]`, "object.a\\.b",
			`{"c":1,"d*":3,"x|y":1,"#":2,"@z":3,":1":4,"q\"":5,"e\\f":6,"é.":7,"?":8,"http://a.b/c":10}`},
		{"delete", `[{at: p.get_object, delete: [text, list.1.x, [a.b, "d*"], nowhere.at.all]}]`, "object", `{"id":"i","a.b":{"c":1},"list":[1,{}]}`},
		{"delete one", `[{at: p.get_object, delete: text}]`, "object.@keys", `["id","a.b","list"]`},
		{"value, set, delete in this order", `[{at: p.get_object, value: {a: 1, b: 2}, set: {a: 3, c: 4}, delete: b}]`, "object", `{"a":3,"c":4}`},
		{"in order", `[{at: p.get_scalar, value: "${result}1"}, {at: p.get_object, value: 1}, {at: p.get_scalar, value: "${result}2"}]`, "scalar", `"i12"`},
		{"when", `[{at: p.get_scalar, when: '${get("data.id") == "x"}', value: no}, {at: p.get_scalar, when: '${result == "i" && event.data.id == "i" && name == "e"}', value: yes}]`, "scalar", `"yes"`},
		{"when known at load", `[{at: p.get_scalar, when: '${args.kind == "two"}', value: '${require("data.no")}'}]`, "scalar", `"i"`},
		{"several points", `[{at: [p.get_scalar, p.get_object], value: x}]`, "[scalar,object]", `["x","x"]`},
		{"several points of a place", `[{at: p.get_second, value: {y: "${result}"}}, {at: p.get_first, set: {x: 2}}]`, "two", `{"y":{"x":2}}`},
		{"inside and outside", `[{at: p.get_outer, set: {outer: "${result.inner.y}"}}, {at: p.get_inner, set: {y: 2}}]`, "nested", `{"inner":{"y":2},"outer":2}`},
		{"what is absent can be set", `[{at: p.get_absent, set: {x: 1}}]`, "absent", `{"x":1}`},
		{"result of an absent value", `[{at: p.get_absent, value: '${result == null}'}]`, "absent", `true`},
		{"under a condition", `[{at: p.get_last, set: {z: 2}}]`, "last", `{"z":2}`},
		{"look-ups", `[{at: p.get_scalar, value: '${user(7, "username")}'}]`, "scalar", `"ann"`},
		{"members that settings lack are null", `[{at: p.get_scalar, value: '${coalesce(settings.nothing, args.nothing, "none")}'}]`, "scalar", `"none"`},
		{"full names", `[{at: event_routing_backends.processors.p.get_scalar, value: x}]`, "scalar", `"x"`},
		{"silent failure leaves the value", `[{at: p.get_object, set: {id: 5, text: '${number("a")}'}, fail_silently: true}, {at: p.get_object, set: {new: 1}}]`, "object", `{` + object + `,"new":1}`},
		{"set of no object, silently", `[{at: p.get_scalar, set: {a: 1}, fail_silently: true}]`, "scalar", `"i"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, filterable+"-- filters/f.yaml --\n"+head+"filters: "+tt.filters)
			require.Equal(t, tt.want, gjson.Get(statements(t, set, `{"name":"e","data":{"id":"i"}}`), tt.path).Raw)
		})
	}
}

func TestFilterFiles(t *testing.T) {
	files := "-- filters/20.yaml --\n" + head + "filters: [{at: p.get_scalar, value: '${result}2'}]\n" +
		"-- filters/10.yml --\n" + head + "filters: [{at: p.get_scalar, value: '${result}1'}]\n" +
		"-- filters/caliper.yaml --\nversion: 1\nbackend: caliper\nfilters: [{at: nowhere, value: 1}]\n" +
		"-- filters/.hidden.yaml --\nnot: a filter\n" +
		"-- filters/notes.txt --\nnot a filter\n" +
		"-- filters/folder.yaml/x.yaml --\nnot: a filter\n" +
		"-- profiles/strict.yaml --\n" + head + "filters: [{at: p.get_scalar, value: 'profile${result}'}]"
	dir := folder(t, filterable+files)
	opt := mapping.Options{Backend: "xapi", Directory: people{}, Filters: os.DirFS(filepath.Join(dir, "filters")), FiltersName: "filters"}
	set, faults := mapping.Load(os.DirFS(dir), opt)
	require.Empty(t, faults.Render())
	require.Equal(t, "i12", gjson.Get(statements(t, set, `{"name":"e","data":{"id":"i"}}`), "scalar").String())

	opt.Profile = "strict"
	set, faults = mapping.Load(os.DirFS(dir), opt)
	require.Empty(t, faults.Render())
	require.Equal(t, "profilei12", gjson.Get(statements(t, set, `{"name":"e","data":{"id":"i"}}`), "scalar").String())
}

func TestFilterFailures(t *testing.T) {
	tests := []struct{ name, filter, want string }{
		{"value", `value: '${require("data.no")}'`, `filters/f.yaml:6:15: filter p.get_scalar: data.no is required but absent or empty`},
		{"set", `set: {x: 1}`, `filters/f.yaml:5:9: filter p.get_scalar: set and delete need an object, the value is text`},
		{"when", `when: '${get("data.id")}'`, `filters/f.yaml:6:14: when: when must be true or false, it is text (reads data.id: text)`},
		{"refused", `value: '${reject("no such thing")}'`, `filters/f.yaml:6:15: filter p.get_scalar: no such thing`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := filterable + "-- filters/f.yaml --\n" + head + "filters:\n  # the first\n  - at: p.get_scalar\n    " + tt.filter + "\n    delete: y\n"
			r := transform(t, load(t, text), `{"name":"e","data":{"id":"i"}}`)
			require.EqualError(t, rejection(t, r), tt.want)

			set := load(t, text+"    fail_silently: true\n")
			r = transform(t, set, `{"name":"e","data":{"id":"i"}}`)
			require.Equal(t, mapping.Transformed, r.Outcome)
			require.Len(t, r.Warnings, 1)
			require.Equal(t, "filter p.get_scalar", r.Warnings[0].Filter)
			require.Equal(t, "filters/f.yaml:5:9", r.Warnings[0].Pos.String())
			require.NotEmpty(t, r.Warnings[0].Reason)
			require.Equal(t, "i", gjson.GetBytes(r.Statements[0].JSON, "scalar").String())
		})
	}
	t.Run("transient failures are never silent", func(t *testing.T) {
		set := load(t, filterable+"-- filters/f.yaml --\n"+head+`filters: [{at: p.get_scalar, value: '${user("slow", "email")}', fail_silently: true}]`)
		r := transform(t, set, `{"name":"e","data":{"id":"i"}}`)
		require.Equal(t, mapping.Failed, r.Outcome)
		require.ErrorIs(t, r.Err, mapping.ErrLookup)
	})
	t.Run("warnings end with their event", func(t *testing.T) {
		set := load(t, filterable+"-- filters/f.yaml --\n"+head+`filters: [{at: p.get_scalar, value: '${require("data.no")}', fail_silently: true}]`)
		w := set.NewWorker()
		var p event.Parser
		for _, want := range []int{1, 0} {
			ev, err := p.Parse(fmt.Appendf(nil, `{"name":"e","data":{"id":"i","no":%q}}`, strings.Repeat("x", 1-want)))
			require.NoError(t, err)
			require.Len(t, w.Transform(t.Context(), ev).Warnings, want)
		}
	})
}

// TestFilterInLet sees that a filter's expressions may use values that are filtered themselves.
func TestFilterInLet(t *testing.T) {
	set := load(t, "-- m.yaml --\n"+head+`
events: {e: null}
let:
  who: {$filter: p.get_who, id: "${get(\"data.id\")}"}
statement:
  object: {$filter: p.get_object, x: 1}
children:
  for_each: ${get("data.list")}
  let: {part: {$filter: p.get_part, n: 0}}
  statement: {object: null, part: "${part}"}
-- filters/f.yaml --
`+head+`
filters:
  - at: p.get_who
    set: {id: "filtered ${result.id}"}
  - at: p.get_object
    value: {who: "${who.id}", x: "${result.x}"}
    set: {again: "${who.id}", y: "${result.x}"}
  - at: p.get_part
    set: {n: "${item}"}
`)
	require.Equal(t, `{"object":{"who":"filtered i","x":1,"again":"filtered i","y":1}}`+"\n"+`{"part":{"n":1}}`+"\n"+`{"part":{"n":2}}`,
		statements(t, set, `{"name":"e","data":{"id":"i","list":[1,2]}}`))
}
