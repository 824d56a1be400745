package lint_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/lint"
	"github.com/erbd/erbd/mappings"
)

// TestShipped: the shipped mappings have no findings.
func TestShipped(t *testing.T) {
	sets := &golden.Sets{Version: mappings.Version, Files: func(backend string) (fs.FS, error) { return fs.Sub(mappings.FS, backend) }}
	cases, faults, err := golden.Discover("../../golden", golden.Selection{})
	require.NoError(t, err)
	require.Empty(t, faults.Render())
	for _, backend := range []string{"xapi", "caliper"} {
		faults, err := lint.Mappings(sets, backend, config.Defaults(), cases)
		require.NoError(t, err)
		assert.Empty(t, faults.Render(), backend)
	}
}

// look lints mapping files that are written to a folder.
func look(t *testing.T, backend string, files map[string]string) (string, diag.List) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, backend, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	sets := &golden.Sets{Folder: dir, Files: func(backend string) (fs.FS, error) { return os.DirFS(filepath.Join(dir, backend)), nil }}
	faults, err := lint.Mappings(sets, backend, config.Defaults(), nil)
	require.NoError(t, err)
	for _, d := range faults {
		rel, err := filepath.Rel(filepath.Join(dir, backend), d.Pos.File)
		require.NoError(t, err)
		d.Pos.File = rel
	}
	return filepath.Join(dir, backend), faults
}

func lines(faults diag.List) (list []string) {
	for _, d := range faults {
		list = append(list, d.Code+" "+d.Error())
	}
	return list
}

func TestCaliper(t *testing.T) {
	_, faults := look(t, "caliper", map[string]string{"a.yaml": `version: 1
backend: caliper
events:
  one: {type: MediaEvent, action: Pausd}
  two: {type: MediaEvents, action: Started}
  three: {type: ViewEvent, action: Viewed}
statement:
  type: ${args.type}
  action: ${args.action}
  extension: {a: 1}
alternatives:
  - when: ${name == "one"}
    statement: {type: GradeEvent, action: Submitted}
  - statement: {action: "${args.action}"}
`})
	assert.Equal(t, []string{
		`caliper-action a.yaml:4:35: events.one.action: Caliper 1.2 does not allow the action "Pausd" for MediaEvent (did you mean "Paused"?)`,
		`caliper-type a.yaml:5:15: events.two.type: Caliper 1.2 has no type of event "MediaEvents" (did you mean "MediaEvent"?)`,
		`unknown-field a.yaml:10:3: statement.extension: Caliper 1.2 does not know "extension" here (did you mean "extensions"?)`,
		`caliper-action a.yaml:13:43: alternatives[0].statement.action: Caliper 1.2 does not allow the action "Submitted" for GradeEvent (allowed: Graded)`,
	}, lines(faults))
}

const unused = `version: 1
backend: xapi
tables:
  one: {a: b}
  two: {a: b}
let:
  # a comment
  used: ${tables.one.a}
  nobody: >-
    ${get("data.x")}
  also_used: {deep: "${used}"}
events: {ping: {}}
statement:
  id: ${also_used.deep}
  object: {defnition: {}, id: x}
  result: {extensions: {$keep: true, bad: 1, "urn:good": 1}}
`

func TestUnused(t *testing.T) {
	_, faults := look(t, "xapi", map[string]string{"a.yaml": unused, "b.yaml": "version: 1\nbackend: xapi\nlet: {x: 1}\n"})
	assert.Equal(t, []string{
		`unused-value a.yaml:5:3: warning: tables.two: nothing uses the table "two" ("mapcheck lint --fix" removes it)`,
		`unused-value a.yaml:9:3: warning: let.nobody: nothing uses the value "nobody" ("mapcheck lint --fix" removes it)`,
		`unknown-field a.yaml:15:12: statement.object.defnition: xAPI 1.0.3 does not know "defnition" here (did you mean "definition"?)`,
		`extension-key a.yaml:16:38: statement.result.extensions.bad: the key of an extension is an IRI, such as https://example.org/bad`,
		`unused-file b.yaml:1:1: warning: the file maps no event, and no file extends it`,
		`unused-value b.yaml:3:7: warning: let.x: nothing uses the value "x" ("mapcheck lint --fix" removes it)`,
	}, lines(faults))
}

func TestFix(t *testing.T) {
	dir, faults := look(t, "xapi", map[string]string{"a.yaml": unused})
	for _, d := range faults {
		d.Pos.File = filepath.Join(dir, d.Pos.File)
	}
	mended, err := lint.Fix(faults)
	require.NoError(t, err)
	assert.Len(t, mended, 3)
	have, err := os.ReadFile(filepath.Join(dir, "a.yaml"))
	require.NoError(t, err)
	assert.Equal(t, `version: 1
backend: xapi
tables:
  one: {a: b}
let:
  # a comment
  used: ${tables.one.a}
  also_used: {deep: "${used}"}
events: {ping: {}}
statement:
  id: ${also_used.deep}
  object: {definition: {}, id: x}
  result: {extensions: {$keep: true, bad: 1, "urn:good": 1}}
`, string(have))
}

func TestRouters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routers.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`xapi:
  - name: lrs
    url: http://127.0.0.1:8081/xAPI
    match_params:
      course_id: "^.*course-v.:NordU\\+.*\\+2026.*$"
      organisation: NordU
      name: ["^problem.*", edx.course.grade.passed.first_time, "^nothing$"]
`), 0o644))
	cases, _, err := golden.Discover("../../golden", golden.Selection{})
	require.NoError(t, err)
	faults, err := lint.Routers(file, cases)
	require.NoError(t, err)
	for _, d := range faults {
		d.Pos.File = "routers.yaml"
	}
	assert.Equal(t, []string{
		`no-match routers.yaml:6:7: warning: xapi[0].match_params.organisation: no golden event has organisation, so the router may never want one`,
		`loose-pattern routers.yaml:7:28: info: xapi[0].match_params.name[1]: the pattern also matches longer texts, and its dots match any character (for this name alone write "^edx\\.course\\.grade\\.passed\\.first_time$")`,
		`no-match routers.yaml:7:64: warning: xapi[0].match_params.name[2]: no golden event has a name that matches`,
	}, lines(faults))
	_, err = lint.Routers(file+".none", nil)
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestReports(t *testing.T) {
	_, faults := look(t, "xapi", map[string]string{"a.yaml": unused})
	var b bytes.Buffer
	require.NoError(t, lint.WriteJSON(&b, faults))
	var list []lint.Finding
	require.NoError(t, json.Unmarshal(b.Bytes(), &list))
	assert.Equal(t, lint.Finding{File: "a.yaml", Line: 15, Column: 12, EndLine: 15, EndColumn: 21, Severity: "error", Code: "unknown-field",
		Path: "statement.object.defnition", Message: `xAPI 1.0.3 does not know "defnition" here`, Hint: `did you mean "definition"?`}, list[2])
	b.Reset()
	require.NoError(t, lint.WriteSARIF(&b, faults))
	assert.True(t, json.Valid(b.Bytes()))
}
