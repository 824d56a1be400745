package golden_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/mappings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const folder = "../../golden"

func shipped() *golden.Sets {
	return &golden.Sets{Version: mappings.Version, Files: func(backend string) (fs.FS, error) { return fs.Sub(mappings.FS, backend) }}
}

func discover(t testing.TB, sel golden.Selection) []*golden.Case {
	t.Helper()
	cases, faults, err := golden.Discover(folder, sel)
	require.NoError(t, err)
	require.Empty(t, faults.Render())
	return cases
}

// TestShipped runs all golden cases.
func TestShipped(t *testing.T) {
	s := golden.Run(t.Context(), shipped(), discover(t, golden.Selection{}))
	var text bytes.Buffer
	require.NoError(t, s.WriteText(&text, false))
	require.True(t, s.OK(), text.String())
	t.Logf("%s", text.String())
}

// TestCoverage: the cases reach all events, fields and alternatives of the shipped mappings.
func TestCoverage(t *testing.T) {
	sets, cases := shipped(), discover(t, golden.Selection{})
	for _, backend := range []string{"xapi", "caliper"} {
		c, err := golden.Cover(t.Context(), sets, backend, cases)
		require.NoError(t, err)
		var text bytes.Buffer
		require.NoError(t, c.WriteText(&text))
		for what, ratio := range map[string]golden.Ratio{"events": c.Events, "fields": c.Total.Fields, "alternatives": c.Total.Alternatives} {
			assert.Equal(t, ratio.All, ratio.Reached, "%s %s\n%s", backend, what, &text)
		}
	}
}

// TestMutants changes one small mapping file: the cases notice every change of it. "mapcheck mutate" does so with all
// files.
func TestMutants(t *testing.T) {
	cases := discover(t, golden.Selection{Patterns: []string{"xapi/edx.completion.block_completion.changed", "xapi/edx.course.enrollment.activated/filters"}})
	m, err := golden.Mutate(t.Context(), shipped(), "xapi", cases, func(name string) bool { return name == "completion.yaml" })
	require.NoError(t, err)
	assert.Greater(t, m.Mutants, 20)
	assert.Empty(t, m.Survivors)
	// Without the case of a block that is not named, something is not proved.
	few := slices.DeleteFunc(cases, func(c *golden.Case) bool { return c.Want.Rejected != nil })
	m, err = golden.Mutate(t.Context(), shipped(), "xapi", few, func(name string) bool { return name == "completion.yaml" })
	require.NoError(t, err)
	assert.NotEmpty(t, m.Survivors)
}

func TestSelection(t *testing.T) {
	for pattern, want := range map[string]int{"xapi/showanswer/shows": 1, "showanswer/shows": 2, "golden/xapi/showanswer": 0, folder + "/xapi/showanswer/shows.yaml": 1, "show?nswer/sh*": 2} {
		cases, _, err := golden.Discover(folder, golden.Selection{Patterns: []string{pattern}})
		if want == 0 {
			assert.ErrorIs(t, err, golden.ErrNoCases, pattern)
			continue
		}
		require.NoError(t, err, pattern)
		assert.Len(t, cases, want, pattern)
	}
	_, _, err := golden.Discover(folder, golden.Selection{Patterns: []string{"showanswer"}, Run: regexp.MustCompile("nothing")})
	assert.EqualError(t, err, "there are no cases in ../../golden for showanswer that match nothing")
	_, _, err = golden.Discover(filepath.Join(t.TempDir(), "none"), golden.Selection{})
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// files makes mappings of one file and a folder of cases.
func files(t *testing.T, mapping string, cases map[string]string) (*golden.Sets, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range cases {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	fsys := fstest.MapFS{"ping.yaml": {Data: []byte(mapping)}}
	return &golden.Sets{Files: func(string) (fs.FS, error) { return fsys, nil }}, dir
}

const ping = `version: 1
backend: xapi
events: {ping: {}}
let:
  thing: {a: '${get("data.a")}', b: {c: 1}}
statement:
  id: ${require("data.id")}
  thing: ${thing}
  list: [1, '${get("data.a")}']
`

func run(t *testing.T, mapping, text string) golden.Result {
	t.Helper()
	sets, dir := files(t, mapping, map[string]string{"xapi/ping/one.yaml": text})
	cases, faults, err := golden.Discover(dir, golden.Selection{})
	require.NoError(t, err)
	require.Empty(t, faults.Render())
	s := golden.Run(t.Context(), sets, cases)
	for _, write := range []func(io.Writer) error{s.WriteJSON, s.WriteJUnit} {
		require.NoError(t, write(io.Discard))
	}
	return s.Results[0]
}

func TestDiffs(t *testing.T) {
	r := run(t, ping, `
event: {name: ping, data: {id: x, a: 5}}
expect:
  - {id: x, thing: {a: 6, b: {c: 1.0, d: 2}}, list: [1]}
`)
	assert.Equal(t, golden.Failed, r.Status)
	var got []string
	for _, d := range r.Diffs {
		text := d.Path + ": " + d.Want + " → " + d.Got
		for _, s := range d.From {
			text += " | " + s.Pos.String() + " " + s.Text
		}
		got = append(got, text)
	}
	assert.Equal(t, []string{
		`list[1]:  → 5 | xapi/ping.yaml:9:16 ${get("data.a")}`,
		`thing.a: 6 → 5 | xapi/ping.yaml:8:12 ${thing} | xapi/ping.yaml:5:17 ${get("data.a")}`,
		`thing.b.c: 1.0 → 1 | xapi/ping.yaml:8:12 ${thing} | xapi/ping.yaml:5:41 1`,
		`thing.b.d: 2 →  | xapi/ping.yaml:8:12 ${thing}`,
	}, got)
}

func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		mapping, text string
		want          golden.Status
		message       string
	}{
		"rejected":          {ping, "event: {name: ping, data: {}}\nexpect: {rejected: {field: id, reason: data.id is required but absent or empty}}\n", golden.Passed, ""},
		"another reason":    {ping, "event: {name: ping, data: {}}\nexpect: {rejected: {field: id, reason: other}}\n", golden.Failed, "the event was rejected, but not as expected"},
		"rejected anyway":   {ping, "event: {name: ping, data: {}}\nexpect: [{id: x}]\n", golden.Failed, "the event was rejected"},
		"not rejected":      {ping, "event: {name: ping, data: {id: x}}\nexpect: {rejected: {field: id, reason: other}}\n", golden.Failed, "the event was to be rejected at id (other), but became 1 statement"},
		"mapped":            {ping, "event: {name: ping, data: {id: x}}\nexpect: unmapped\n", golden.Failed, "the event was to be unmapped, but became 1 statement"},
		"no expectation":    {ping, "event: {name: ping, data: {id: x}}\n", golden.Failed, "the case expects nothing yet: \"mapcheck test --update\" writes what the event becomes"},
		"does not compile":  {"nonsense", "event: {name: ping, data: {id: x}}\n", golden.Errored, "the xapi mappings have 1 fault"},
		"no such look-ups":  {ping, "settings: {lookup: {type: file, path: none.json}}\nevent: {name: ping, data: {id: x}}\n", golden.Errored, "none.json: cannot read look-up file: no such file or directory"},
		"no such filters":   {ping, "settings: {filters: none}\nevent: {name: ping, data: {id: x}}\n", golden.Errored, "filters: stat "},
		"one statement few": {ping, "event: {name: ping, data: {id: x}}\nexpect: [{id: x, thing: {b: {c: 1}}, list: [1]}, {id: y}]\n", golden.Failed, ""},
	} {
		r := run(t, c.mapping, c.text)
		assert.Equal(t, c.want, r.Status, name)
		assert.Contains(t, r.Message, c.message, name)
	}
}

func TestFaultsOfCases(t *testing.T) {
	_, dir := files(t, ping, map[string]string{
		"settings.yaml":           "lms: {root_url: nonsense}\n",
		"xapi/ping/folder.yaml":   "event: {name: pong, data: {}}\n",
		"xapi/ping/event.yaml":    "event: nonsense\n",
		"xapi/ping/nothing.yaml":  "expect: []\n",
		"xapi/ping/keys.yaml":     "evnt: {}\nevent: {name: ping, data: {}}\n",
		"xapi/ping/twice.yaml":    "event: {name: ping, data: {}}\nevent: {}\n",
		"xapi/ping/not/deep.yaml": "x",
		"xapi/ping/notes.txt":     "x",
	})
	cases, faults, err := golden.Discover(dir, golden.Selection{})
	require.NoError(t, err)
	assert.Empty(t, cases)
	var codes []string
	for _, d := range faults {
		rel, err := filepath.Rel(dir, d.Pos.File)
		require.NoError(t, err)
		codes = append(codes, rel+" "+d.Code)
	}
	assert.Contains(t, codes, "xapi/ping/folder.yaml wrong-folder")
	assert.Contains(t, codes, "xapi/ping/event.yaml bad-event")
	assert.Contains(t, codes, "xapi/ping/nothing.yaml missing-key")
	assert.Contains(t, codes, "xapi/ping/keys.yaml unknown-key")
	assert.Contains(t, codes, "xapi/ping/twice.yaml duplicate-key")
}

func TestUpdate(t *testing.T) {
	sets, dir := files(t, ping, map[string]string{
		"xapi/ping/a.yaml": "# kept\nevent: {name: ping, data: {id: x}}\nexpect:\n  - {id: y}\n",
		"xapi/ping/b.yaml": "event: {name: ping, data: {}}",
		"xapi/pong/c.yaml": "event: {name: pong, data: {}}\n",
	})
	load := func() *golden.Summary {
		cases, faults, err := golden.Discover(dir, golden.Selection{})
		require.NoError(t, err)
		require.Empty(t, faults.Render())
		return golden.Run(t.Context(), sets, cases)
	}
	none := func(string) (string, bool) { return "", false }
	assert.ErrorIs(t, golden.Update(load(), func(string) (string, bool) { return "true", true }), golden.ErrCI)
	require.NoError(t, golden.Update(load(), none))
	assert.True(t, load().OK())
	for name, want := range map[string]string{
		"xapi/ping/a.yaml": "# kept\nevent: {name: ping, data: {id: x}}\nexpect:\n  - id: x\n    thing: {b: {c: 1}}\n    list: [1]\n",
		"xapi/ping/b.yaml": "event: {name: ping, data: {}}\nexpect:\n  rejected:\n    field: id\n    reason: data.id is required but absent or empty\n",
		"xapi/pong/c.yaml": "event: {name: pong, data: {}}\nexpect: unmapped\n",
	} {
		have, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(have))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "xapi/ping/a.yaml"), []byte("expect: unmapped\nevent: {name: ping, data: {id: x}}\n"), 0o644))
	assert.ErrorContains(t, golden.Update(load(), none), "a.yaml:1:1: cannot update the case: expect must be the last part of the file")
}

func TestReports(t *testing.T) {
	s := golden.Run(t.Context(), shipped(), discover(t, golden.Selection{Patterns: []string{"xapi/showanswer"}}))
	var j, x, text bytes.Buffer
	require.NoError(t, s.WriteJSON(&j))
	require.True(t, json.Valid(j.Bytes()))
	require.NoError(t, s.WriteJUnit(&x))
	require.NoError(t, xml.Unmarshal(x.Bytes(), new(struct {
		XMLName xml.Name `xml:"testsuites"`
	})))
	require.NoError(t, s.WriteText(&text, true))
	assert.Contains(t, text.String(), "ok     xapi/showanswer/shows")
}

func BenchmarkShipped(b *testing.B) {
	cases := discover(b, golden.Selection{})
	for b.Loop() {
		require.True(b, golden.Run(b.Context(), shipped(), cases).OK())
	}
}
