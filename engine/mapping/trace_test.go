package mapping_test

import (
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
	cases "github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

// TestTraceChangesNothing: a Set that can be traced gives byte for byte what one for traffic gives.
func TestTraceChangesNothing(t *testing.T) {
	all, faults, err := cases.Discover(filepath.Join("..", "..", "golden"), cases.Selection{})
	require.NoError(t, err)
	require.Empty(t, faults.Render())
	sets := &cases.Sets{Version: mappings.Version, Files: func(backend string) (fs.FS, error) { return fs.Sub(mappings.FS, backend) }}
	var p event.Parser
	for _, c := range all {
		fast, _, err := sets.Get(c.Backend, c.Settings, false)
		require.NoError(t, err)
		slow, _, err := sets.Get(c.Backend, c.Settings, true)
		require.NoError(t, err)
		ev, err := p.Parse(c.Line)
		require.NoError(t, err)
		want := fast.NewWorker().Transform(t.Context(), ev)
		got, trace := slow.NewWorker().Trace(t.Context(), ev)
		require.NotNil(t, trace)
		assert.Equal(t, want.Outcome, got.Outcome, c.Name)
		require.Len(t, got.Statements, len(want.Statements), c.Name)
		for i := range want.Statements {
			assert.Equal(t, string(want.Statements[i].JSON), string(got.Statements[i].JSON), c.Name)
			assert.Equal(t, want.Statements[i].ID, got.Statements[i].ID, c.Name)
		}
		if want.Rejection != nil {
			assert.Equal(t, want.Rejection.Error(), got.Rejection.Error(), c.Name)
		}
	}
}

func TestTrace(t *testing.T) {
	directory, err := lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(t, err)
	files := fstest.MapFS{"a.yaml": {Data: []byte(`version: 1
backend: xapi
events: {ping: {on: true}}
let:
  unused: ${get("data.never")}
  thing: {a: '${get("data.a") == 1 && args.on ? "one" : null}'}
alternatives:
  - name: other
    when: ${get("data.other") != null}
    statement: {id: other}
  - name: plain
    statement: {id: '${require("data.id")}', thing: '${thing}', text: "a ${name}"}
`)}}
	set, faults := mapping.Load(files, mapping.Options{Backend: "xapi", Directory: directory, Trace: true})
	require.Empty(t, faults.Render())
	points := set.Points()
	assert.Len(t, points.Fields, 6)
	assert.Len(t, points.Branches, 5)
	require.Len(t, points.Alternatives, 2)
	assert.Equal(t, []string{"ping"}, points.Alternatives[1].Events)

	w := set.NewWorker()
	result, trace := w.Trace(t.Context(), event.Event{Name: "ping", JSON: []byte(`{"name":"ping","data":{"id":"x","a":1}}`)})
	require.Equal(t, mapping.Transformed, result.Outcome)
	assert.Equal(t, `{"id":"x","thing":{"a":"one"},"text":"a ping"}`, string(result.Statements[0].JSON))
	assert.Equal(t, "xapi/a.yaml:11:5", trace.Alternative.String())
	var kinds []string
	for _, b := range trace.Branches {
		kinds = append(kinds, b.Kind)
	}
	assert.Equal(t, []string{expr.BranchAndBoth, expr.BranchTrue}, kinds)
	origin := trace.Origin(0, mapping.JoinPath("thing", "a"))
	require.Len(t, origin, 2)
	assert.Equal(t, "thing", origin[0].Field.Source)
	assert.Equal(t, `"one"`, origin[1].JSON)
	assert.Equal(t, []string{"data.a"}, origin[1].Field.Reads)
	assert.Empty(t, trace.Origin(0, "nothing"))
	assert.Empty(t, trace.Origin(7, "id"))

	result, trace = w.Trace(t.Context(), event.Event{Name: "ping", JSON: []byte(`{"name":"ping"}`)})
	assert.Equal(t, mapping.Rejected, result.Outcome)
	assert.NotNil(t, trace.Steps[len(trace.Steps)-1].Failure)

	plain, _ := mapping.Load(files, mapping.Options{Backend: "xapi", Directory: directory})
	assert.Nil(t, plain.Points())
	_, none := plain.NewWorker().Trace(t.Context(), event.Event{Name: "ping", JSON: []byte(`{"name":"ping","data":{"id":"x"}}`)})
	assert.Nil(t, none)
	assert.Empty(t, none.Origin(0, "id"))
}

func TestParts(t *testing.T) {
	assert.Equal(t, []mapping.Part{{From: 0, To: 2}, {Expression: true, From: 4, To: 7}, {From: 8, To: 9}}, mapping.Parts("a ${x.y}b"))
	assert.Equal(t, []mapping.Part{{From: 0, To: 5}}, mapping.Parts("$${x}"))
	assert.Nil(t, mapping.Parts("a ${x"))
	assert.Nil(t, mapping.Parts(""))
}
