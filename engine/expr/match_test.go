package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
)

func TestMatches(t *testing.T) {
	routers := [][]Match{
		{{"course_id", []string{`^.*course-v.:edX\+.*\+2021.*$`}}, {"name", []string{"^problem.*", "video"}}},
		{{"enterprise_uuid", []string{"org_XYZ"}}, {"name", []string{"edx.course.grade.passed.first_time", "edx.course.enrollment.activated"}}},
		{},
		{{"name", []string{"^play"}}},
		{{"data.n", []string{"^12$"}}, {"flag", []string{"true"}}},
		{{"data.list", []string{"."}}},
		{{"anything", nil}},
	}
	tests := []struct {
		name, json string
		want       []bool
	}{
		{"bare keys are found in the context", `{"name":"play_video","context":{"course_id":"course-v1:edX+DemoX+2021_T1"}}`, []bool{true, false, true, true, false, false, false}},
		{"the root comes first", `{"name":"play_video","course_id":"x","context":{"course_id":"course-v1:edX+DemoX+2021_T1"}}`, []bool{false, false, true, true, false, false, false}},
		{"null at the root hides the context", `{"name":"problem_check","course_id":null,"context":{"course_id":"course-v1:edX+D+2021"}}`, []bool{false, false, true, false, false, false, false}},
		{"enterprise in the context", `{"name":"edx.course.enrollment.activated","context":{"enterprise_uuid":"org_XYZ"}}`, []bool{false, true, true, false, false, false, false}},
		{"numbers and booleans by their JSON", `{"name":"x","data":{"n":12,"flag":true}}`, []bool{false, false, true, false, true, false, false}},
		{"lists never match", `{"name":"x","data":{"list":["a"]}}`, []bool{false, false, true, false, false, false, false}},
	}
	m, faults := CompileMatches(routers)
	require.Empty(t, faults)
	require.True(t, m.ByName(3))
	require.False(t, m.ByName(0))
	matcher := m.NewMatcher()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, matcher.Match(event.Event{JSON: []byte(tt.json)}))
		})
	}
}

func TestMatchFaults(t *testing.T) {
	_, faults := CompileMatches([][]Match{{{"name", []string{"ok", "("}}}, {{"a..b", []string{"|"}}}})
	require.Len(t, faults, 2)
	require.EqualError(t, faults[0], "bad regular expression: missing closing ): `(`")
	require.Equal(t, []int{0, 0, 1}, []int{faults[0].Router, faults[0].Entry, faults[0].Pattern})
	require.EqualError(t, faults[1], `the path "a..b" has an empty step`)
}

func TestMatchNumbersAsWritten(t *testing.T) {
	m, faults := CompileMatches([][]Match{{{"n", []string{`^1\.50$`}}, {"big", []string{"^1e999$"}}}})
	require.Empty(t, faults)
	require.Equal(t, []bool{true}, m.NewMatcher().Match(event.Event{JSON: []byte(`{"name":"x","data":{"n":1.50,"big":1e999}}`)}))
}

func TestMatchPatternsAreNoExpressions(t *testing.T) {
	m, faults := CompileMatches([][]Match{{{"name", []string{`"==name+"`}}}})
	require.Empty(t, faults)
	require.Equal(t, []bool{false}, m.NewMatcher().Match(event.Event{JSON: []byte(`{"name":"x"}`)}))
}

func TestManyMatches(t *testing.T) {
	var patterns []string
	var keys []Match
	for i := range 1000 {
		patterns = append(patterns, fmt.Sprintf("^name%d$", i))
		keys = append(keys, Match{fmt.Sprintf("data.k%d", i), []string{"^v$"}})
	}
	keys[500].Key = "data.k0"
	m, faults := CompileMatches([][]Match{
		{{"name", patterns}},
		{{"course", []string{"x"}}, {"name", patterns}},
		{{"name", patterns}, {"none", nil}},
		keys[:1], keys,
	})
	require.Empty(t, faults)
	require.True(t, m.ByName(0))
	require.False(t, m.ByName(1))
	matcher := m.NewMatcher()
	require.Equal(t, []bool{true, false, false, true, false}, matcher.Match(event.Event{JSON: []byte(`{"name":"name999","data":{"k0":"v"}}`)}))
	require.Equal(t, []bool{true, true, false, false, false}, matcher.Match(event.Event{JSON: []byte(`{"name":"name0","course":"x"}`)}))
	require.Equal(t, []bool{false, false, false, false, false}, matcher.Match(event.Event{JSON: []byte(`{"name":"name1000","course":"x"}`)}))
}

// TestLargePatterns holds patterns that are short and large: one by one, and all together.
func TestLargePatterns(t *testing.T) {
	_, faults := CompileMatches([][]Match{{{"name", []string{"a", strings.Repeat("x{1000}", 9)}}}})
	require.Len(t, faults, 1)
	require.Equal(t, 1, faults[0].Pattern)
	require.ErrorContains(t, faults[0], "at most 5000 are allowed")
	var many []string
	for i := range maxPrograms/1000 + 1 {
		many = append(many, fmt.Sprintf("x{1000}%d", i))
	}
	_, faults = CompileMatches([][]Match{{{"name", []string{"a"}}}, {{"course", many}}})
	require.Len(t, faults, 1)
	require.Equal(t, 1, faults[0].Router)
	require.ErrorIs(t, faults[0].Err, errTooManyPatterns)
}
