package mapping_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

// FuzzLoad takes any text as a mapping file and as a filter file: Load must not panic, and what it finds wrong must lie
// inside the file.
func FuzzLoad(f *testing.F) {
	require.NoError(f, fs.WalkDir(mappings.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(name) == ".yaml" {
			src, err := fs.ReadFile(mappings.FS, name)
			require.NoError(f, err)
			f.Add(string(src))
		}
		return err
	}))
	require.NoError(f, fs.WalkDir(os.DirFS("testdata/faults"), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(name) == ".yaml" {
			src, err := os.ReadFile(path.Join("testdata/faults", name))
			require.NoError(f, err)
			f.Add(string(src))
		}
		return err
	}))
	base, err := fs.ReadFile(mappings.FS, "xapi/base.yaml")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		files := fstest.MapFS{
			"base.yaml":            {Data: base},
			"fuzz.yaml":            {Data: []byte(text)},
			"profiles/strict.yaml": {Data: []byte(text)},
		}
		lines := strings.Split(text, "\n")
		for _, opt := range []mapping.Options{
			{Backend: "xapi", Settings: settings},
			{Backend: "xapi", Settings: settings, Trace: true},
			{Backend: "xapi", Settings: settings, Profile: "strict"},
			{Backend: "xapi", Settings: settings, Filters: fstest.MapFS{"fuzz.yaml": {Data: []byte(text)}}, FiltersName: "filters"},
		} {
			set, faults := mapping.Load(files, opt)
			require.Equal(t, set == nil, faults.HasErrors(), "a Set or errors, never both")
			faults.Render()
			for _, d := range faults {
				require.NotEqual(t, "internal", d.Code, d.Error())
				if !strings.HasSuffix(d.Pos.File, "fuzz.yaml") {
					continue
				}
				require.Positive(t, d.Pos.Line, d.Error())
				require.LessOrEqual(t, d.Pos.Line, len(lines), d.Error())
				require.Positive(t, d.Pos.Column, d.Error())
				require.LessOrEqual(t, d.Pos.Column, len([]rune(lines[d.Pos.Line-1]))+1, d.Error())
			}
			if set != nil {
				try(t, set, `{"name":"x","data":{"id":"c5","list":[1,{"a":null}]},"context":{"user_id":1}}`)
			}
		}
	})
}

// try transforms an event by every name of a set.
func try(t *testing.T, set *mapping.Set, source string) {
	var p event.Parser
	ev, err := p.Parse([]byte(source))
	require.NoError(t, err)
	w := set.NewWorker()
	for _, name := range set.Names() {
		ev.Name = name
		check(t, w.Transform(t.Context(), ev), ev)
	}
}

// check demands all statements or none.
func check(t testing.TB, r mapping.Result, ev event.Event) {
	t.Helper()
	switch r.Outcome {
	case mapping.Transformed:
		require.NotEmpty(t, r.Statements)
		require.Nil(t, r.Rejection)
		for _, s := range r.Statements {
			require.True(t, json.Valid(s.JSON) && s.JSON[0] == '{', "%s\n%s", s.JSON, ev.JSON)
			require.Equal(t, gjson.GetBytes(s.JSON, "id").String(), s.ID)
		}
		return
	case mapping.Rejected:
		require.NotNil(t, r.Rejection)
		require.Positive(t, r.Rejection.Pos.Line, r.Rejection.Error())
		require.NotEmpty(t, r.Rejection.Field)
		require.NotEmpty(t, r.Rejection.Reason)
		require.NotContains(t, r.Rejection.Error(), secret, "%s", ev.JSON)
	case mapping.Failed:
		require.Error(t, r.Err)
	}
	require.Empty(t, r.Statements)
}

// secret is part of all texts of the generated events.
const secret = "geheim"

// shipped are the shipped mappings with certain settings.
type shipped struct {
	name        string
	set, traced *mapping.Set
	// paths are all paths of events that the mappings read.
	paths []string
	fault string
}

// allShipped loads the shipped mappings in ways that differ in profile and actor, once for all tests.
var allShipped = sync.OnceValue(func() (all []shipped) {
	for _, way := range []struct{ backend, profile, actor string }{
		{"xapi", "compat", "external_id"},
		{"xapi", "strict", "mbox"},
		{"xapi", "strict", "mbox_sha1sum"},
		{"caliper", "compat", "external_id"},
		{"caliper", "strict", "external_id"},
	} {
		s := shipped{name: fmt.Sprint(way)}
		all = append(all, s.load(way.backend, way.profile, way.actor))
	}
	return all
})

func (s shipped) load(backend, profile, actor string) shipped {
	pseudonyms, err := lookup.NewDirectory(nil, lookup.Options{})
	if err != nil {
		s.fault = err.Error()
		return s
	}
	sub, err := fs.Sub(mappings.FS, backend)
	if err != nil {
		s.fault = err.Error()
		return s
	}
	opt := mapping.Options{Backend: backend, Profile: profile, Directory: pseudonyms, Settings: strings.Replace(settings, "external_id", actor, 1)}
	if actor == "mbox" {
		opt.Directory = people{}
	}
	var faults diag.List
	if s.set, faults = mapping.Load(sub, opt); len(faults) > 0 {
		s.fault = faults.Render()
		return s
	}
	opt.Trace = true
	if s.traced, faults = mapping.Load(sub, opt); len(faults) > 0 {
		s.fault = faults.Render()
		return s
	}
	for _, field := range s.traced.Points().Fields {
		for _, read := range field.Reads {
			s.paths = append(s.paths, read)
			if !strings.Contains(read, ".") {
				s.paths = append(s.paths, "context."+read, "data."+read)
			}
		}
	}
	slices.Sort(s.paths)
	s.paths = slices.Compact(s.paths)
	return s
}

// FuzzTransform applies all shipped mappings to events: any JSON object as the event's data, and events that have all
// sorts of values where the mappings look.
func FuzzTransform(f *testing.F) {
	all := allShipped()
	for _, s := range all {
		require.Empty(f, s.fault)
	}
	for i, src := range benchEvents {
		f.Add(gjson.Get(src, "data").Raw, gjson.Get(src, "context").Raw, uint64(len(i)))
	}
	for seed := range uint64(100) {
		f.Add(`{}`, `{}`, seed)
	}
	f.Add(`"input_28e6_2_1=x"`, `{"event_source":"browser","course_id":"course-v1:A+B+C"}`, uint64(1))
	f.Add(`{"submission":{"a":{"answer":[1],"correct":true,"response_type":"choiceresponse"},"b":{"answer":{"x":null}}}}`, `{"course_id":"ccx-v1:A+B+C","user_id":1.5}`, uint64(2))
	f.Fuzz(func(t *testing.T, data, context string, seed uint64) {
		if !gjson.Valid(data) || !gjson.Valid(context) {
			return
		}
		r := rand.New(rand.NewPCG(seed, 1))
		s := all[r.IntN(len(all))]
		names := s.set.Names()
		source := fmt.Sprintf(`{"name":"x","timestamp":"2023-02-03T14:18:20Z","context":%s,"data":%s}`, context, data)
		for range r.IntN(30) {
			if next, err := sjson.SetRaw(source, s.paths[r.IntN(len(s.paths))], randomJSON(r, 3)); err == nil {
				source = next
			}
		}
		var p event.Parser
		ev, err := p.Parse([]byte(source))
		if err != nil {
			return
		}
		w, traced := s.set.NewWorker(), s.traced.NewWorker()
		for range 4 {
			ev.Name = names[r.IntN(len(names))]
			result := w.Transform(t.Context(), ev)
			check(t, result, ev)
			again, _ := traced.Trace(t.Context(), ev)
			require.Equal(t, result.Outcome, again.Outcome)
			require.Equal(t, result.Statements, again.Statements)
		}
	})
}

// randomJSON is a value of the kinds that events have, and of those that they should not have.
func randomJSON(r *rand.Rand, depth int) string {
	texts := []string{`""`, `"geheim"`, `"course-v1:A+geheim+C"`, `"course-v1:A+B+C"`, `"block-v1:A+B+C+type@problem+block@geheim"`, `"2023-02-03T14:18:20.5+02:00"`, `"ann"`,
		`"http://lms.example/geheim?activate_block_id=block%40geheim"`, `"browser"`, `"choiceresponse"`, `"a\"\\geheim\u0000\ud83d\ude00é\ud800"`, `"[\"geheim\",1]"`, `"input_geheim_2_1="`}
	numbers := []string{`0`, `-1`, `195`, `1.5`, `1e3`, `0.0`, `-0.0`, `1e999`, `9223372036854775807`, `-9223372036854775808`, `123456789012345678901234567890`, `0.1e-7`, `4102444800`}
	switch n := r.IntN(10); {
	case n < 3:
		return texts[r.IntN(len(texts))]
	case n < 6:
		return numbers[r.IntN(len(numbers))]
	case n == 6:
		return []string{`true`, `false`, `null`}[r.IntN(3)]
	case n == 7 || depth == 0:
		return []string{`{}`, `[]`, ` { } `, `[ ]`}[r.IntN(4)]
	case n == 8:
		items := make([]string, r.IntN(4))
		for i := range items {
			items[i] = randomJSON(r, depth-1)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	keys := []string{"answer", "correct", "question", "response_type", "geheim", "id", "answer", "x\\\"y", "usage_key"}
	members := make([]string, r.IntN(5))
	for i := range members {
		members[i] = `"` + keys[r.IntN(len(keys))] + `":` + randomJSON(r, depth-1)
	}
	return "{" + strings.Join(members, ",") + "}"
}
