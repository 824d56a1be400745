package mapping_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
)

const (
	tooLarge   = "what the mapping computes for this event is larger than 64 MiB"
	outputFull = "the statements of this event are larger than 64 MiB"
	tooMany    = "the expression takes too many steps for this event"
)

// TestBounds holds mappings that would take the machine's memory or hours of its time: the event is refused where it
// happens, and the worker is as good as before.
func TestBounds(t *testing.T) {
	source := bigEvent(t)
	doubled := func(how string) string {
		var b strings.Builder
		b.WriteString("events: {e: null}\nlet:\n  a0: ${get(\"data.text\")}\n")
		for i := range 60 {
			fmt.Fprintf(&b, "  a%d: %s\n", i+1, strings.ReplaceAll(how, "A", fmt.Sprintf("a%d", i)))
		}
		return b.String() + "statement: {v: '${a60}'}\n"
	}
	one := func(expression string) string {
		return "events: {e: null}\nstatement:\n  v: >-\n    ${" + expression + "}\n"
	}
	chain := func(function, inner string) string {
		return strings.Repeat(function+"(", 40) + inner + strings.Repeat(")", 40)
	}
	tests := []struct{ name, yaml, reason string }{
		{"sums", doubled(`${A + A}`), tooLarge},
		{"sums in a statement", "events: {e: null}\nlet: {a: '${get_text(\"data.large\")" + strings.Repeat(` + get_text("data.large")`, 30) + "}'}\nstatement: {v: '${a" + strings.Repeat(" + a", 30) + "}'}\n", tooLarge},
		{"lists", doubled(`${[A, A]}`), tooLarge},
		{"sums of lists", doubled(`'${(is_list(A) ? A : [A]) + (is_list(A) ? A : [A])}'`), tooLarge},
		{"objects", doubled(`'${{"a": A, "b": A}}'`), tooLarge},
		{"members", doubled(`{a: "${A}", b: "${A}"}`), tooLarge},
		{"interpolation", doubled(`x${A}${A}`), outputFull},
		{"merged", doubled(`'${merge({"a": A}, {"b": A})}'`), tooLarge},
		{"escapes of escapes", one(chain("json_text", `['"', get("data.text")]`)), tooLarge},
		{"separators", one(`join_text(get_list("data.list"), get_text("data.large"))`), tooLarge},
		{"roots", one(`with_iris(get_object("data.ids"), get_text("data.large"))`), "with_iris: the result is too large"},
		{"children", "events: {e: null}\nstatement: {v: 1}\nchildren:\n  for_each: ${get(\"data.list\")}\n  statement: {v: '${get(\"data.large\")}'}\n", outputFull},
		{"large results in a loop", one(`get_list("data.list").map(x, json_text(event))`), tooMany},
		{"large arguments in a loop", one(`get_list("data.list").all(x, count(get_object("data.ids")) > 0)`), tooMany},
		{"large values in a loop", one(`get_list("data.list").all(x, size(event.data.list) > 0)`), tooMany},
		{"paths in a loop", one(`get_list("data.list").all(x, path("data.list.#") == 5000)`), tooMany},
		{"steps in loops", one(`get_list("data.list").map(x, get_list("data.list").map(y, [x, y]))`), tooMany},
		{"large pattern on large text", one(`get_text("data.large").matches("a{0,1000}b")`), tooMany},
		{"large pattern in a loop", one(`get_list("data.list").all(x, !get_text("data.large").matches("a{0,1000}b"))`), tooMany},
		{"large group", one(`extract(get_text("data.large"), "(a{0,1000})b")`), tooMany},
		{"computed path", one(`path(get_text("data.path"))`), "path: the path makes too much"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, tt.yaml)
			r := transform(t, set, source)
			rejected := rejection(t, r)
			require.Contains(t, rejected.Reason, tt.reason)
			require.NotZero(t, rejected.Pos.Line)
			require.NotEmpty(t, rejected.Pos.File)
		})
	}
}

// TestRefusalByBoundsEnds checks that what one event took is not held against the next.
func TestRefusalByBoundsEnds(t *testing.T) {
	set := load(t, "events: {e: null}\nstatement:\n  v: ${get_list(\"data.list\").map(x, json_text(event))}\n")
	w := set.NewWorker()
	big, small := bigEvent(t), `{"name":"e","data":{"list":[1,2]}}`
	var p event.Parser
	for _, source := range []string{big, small, big, small} {
		ev, err := p.Parse([]byte(source))
		require.NoError(t, err)
		require.Equal(t, source == small, w.Transform(t.Context(), ev).Outcome == mapping.Transformed)
	}
}

// TestBoundsAtLoad holds expressions that are refused before any event, with their place.
func TestBoundsAtLoad(t *testing.T) {
	tests := []struct{ name, expression, fault string }{
		{"repetition", `get_text("data.t").matches("(x{1,1000}){1,1000}")`, "invalid repeat count"},
		{"large program", `get_text("data.t").matches("` + strings.Repeat("x{1000}", 9) + `")`, "steps a character, at most 5000 are allowed"},
		{"large group", `extract(get("data.t"), "` + strings.Repeat("x{1000}", 9) + `")`, "steps a character, at most 5000 are allowed"},
		{"computed pattern", `get_text("data.t").matches(get_text("data.p"))`, "matches needs a literal regular expression"},
		{"modifiers", `path("data` + strings.Repeat("|@tostr", 9) + `")`, "the path makes too much"},
		{"lists", `path("data` + strings.Repeat("|[@this,@this]", 5) + `")`, "the path makes too much"},
		{"long path", `path("` + strings.Repeat("a.", 300) + `b")`, "the path is longer than 512 bytes"},
		{"three loops", `[1].map(x, [1].map(y, [1].map(z, z)))`, "loops stand 3 deep in one another, at most 2 are allowed"},
		{"parentheses", strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000), "nests more than 64 deep"},
		{"sum", "1" + strings.Repeat("+1", 1000), "recursion depth"},
		{"length", `"` + strings.Repeat("x", 5000) + `"`, "more than 4096 characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, head+"events: {e: null}\nstatement:\n  v: >-\n    ${"+tt.expression+"}\n")
			set, faults := mapping.Load(os.DirFS(dir), mapping.Options{Backend: "xapi", Settings: "{}", Directory: people{}})
			require.Nil(t, set)
			require.Contains(t, faults.Render(), tt.fault)
			require.Regexp(t, `^xapi/m\.yaml:\d+:\d+: `, faults.Render())
		})
	}
}

// bigEvent is an event of some MB.
func bigEvent(t *testing.T) string {
	t.Helper()
	list, ids := make([]int, 5000), map[string]any{}
	for i := range list {
		list[i] = i
		ids[fmt.Sprint(i)] = map[string]any{"id": "/a"}
	}
	source, err := json.Marshal(map[string]any{"name": "e", "data": map[string]any{
		"text": strings.Repeat("a", 1000), "large": strings.Repeat("a", 100_000), "list": list, "ids": ids,
		"path": "data" + strings.Repeat("|[@this,@this]", 20),
	}})
	require.NoError(t, err)
	return string(source)
}

// TestNullFile: a file that is null says nothing and is a fault, or all its events would be unmapped without a word.
func TestNullFile(t *testing.T) {
	for _, text := range []string{"~", "null", "[]", "text", "1"} {
		set, faults := mapping.Load(os.DirFS(folder(t, text)), mapping.Options{Backend: "xapi", Settings: "{}", Directory: people{}})
		require.Nil(t, set, text)
		require.Contains(t, faults.Render(), "xapi/m.yaml:1:1: expected a mapping", text)
	}
}
