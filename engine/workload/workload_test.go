package workload

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

// Every event of a round becomes statements whose timestamps tell its number.
func TestMix(t *testing.T) {
	m, err := Load()
	require.NoError(t, err)
	directory, err := lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(t, err)
	xapi, err := fs.Sub(mappings.FS, "xapi")
	require.NoError(t, err)
	s, faults := config.Load(config.Sources{})
	require.NoError(t, faults.Err())
	set, faults := mapping.Load(xapi, mapping.Options{Backend: "xapi", Settings: s.Constants(mappings.Version), Directory: directory})
	require.NoError(t, faults.Err())
	worker := set.NewWorker()
	var parser event.Parser
	seen := map[string]int{}
	ids := map[string]bool{}
	total := uint64(m.Total())
	for n := range total {
		line := m.Append(nil, n)
		require.NotContains(t, string(line), "\n")
		ev, err := parser.Parse(line)
		require.NoError(t, err)
		seen[ev.Name]++
		r := worker.Transform(t.Context(), ev)
		require.Equal(t, mapping.Transformed, r.Outcome, "%s", line)
		for _, st := range r.Statements {
			at := gjson.GetBytes(st.JSON, "timestamp").Str
			got, ok := Number([]byte(at))
			require.True(t, ok && got == n, "%d: %s", n, st.JSON)
		}
		ids[strings.Clone(r.Statements[0].ID)] = true // it lives as long as the result
	}
	assert.Equal(t, int(total), len(ids), "every event has a statement of its own")
	for _, name := range set.Names() {
		assert.NotZero(t, seen[name], name)
	}
	share := func(name string) float64 { return float64(seen[name]) / float64(total) }
	assert.InDelta(t, 0.2, share("edx.grades.course.grade_calculated"), 1e-9)
	assert.InDelta(t, 0.194, share("problem_check"), 1e-9)
	assert.InDelta(t, 0.037, share("stop_video"), 1e-9)
	assert.InDelta(t, 0.042/float64(len(set.Names())-9), share("showanswer"), 1e-9)
}

func TestNumber(t *testing.T) {
	for _, n := range []uint64{0, 1, 999_999, 1_000_000, 61_000_001, MaxEvents - 1} {
		got, ok := Number(appendTime(nil, n))
		assert.True(t, ok)
		assert.Equal(t, n, got)
	}
	for _, text := range []string{"", "2026-01-05T", "2026-01-06T00:00:00.000000+00:00", "2026-01-05Tx0:00:00.000000+00:00"} {
		_, ok := Number([]byte(text))
		assert.False(t, ok, text)
	}
}

func TestMissingCases(t *testing.T) {
	_, err := load(mappings.FS)
	require.ErrorIs(t, err, ErrCases)
}
