package mappings_test

import (
	"context"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

const settings = `{"lms":{"root_url":"https://learn.nordu.example"},"transformer_version":"v","xapi":{"actor_id":"external_id"},"caliper":{"extended":true}}`

const examples = "filters/examples"

// people is a look-up source with one learner; it knows every course.
type people struct{}

func (people) User(_ context.Context, key string) (*lookup.User, error) {
	if key != "101" && key != "maria.santos" {
		return nil, lookup.ErrNotFound
	}
	return &lookup.User{ID: 101, Username: "maria.santos", Email: "maria.santos@nordu.example", ExternalIDs: map[string]string{
		"xapi": "5d9e822d-c319-52c9-ba22-67535b8b4a7a", "caliper": "00892c3b-77f8-529f-9bd1-af55bb48d207",
	}}, nil
}

func (people) Course(_ context.Context, id string) (*lookup.Course, error) {
	return &lookup.Course{ID: id, DisplayName: "Cell Biology"}, nil
}

// sets are the mappings that tests compiled, by backend and filters.
var sets = map[string]*mapping.Set{}

// load compiles the mappings of a backend with the filters of a folder unless it is "".
func load(t *testing.T, backend, filters string) *mapping.Set {
	t.Helper()
	if set := sets[backend+" "+filters]; set != nil {
		return set
	}
	files, err := fs.Sub(mappings.FS, backend)
	require.NoError(t, err)
	directory, err := lookup.NewDirectory(people{}, lookup.Options{})
	require.NoError(t, err)
	opt := mapping.Options{Backend: backend, Settings: settings, Directory: directory}
	if filters != "" {
		opt.Filters, err = fs.Sub(mappings.FS, filters)
		require.NoError(t, err)
		opt.FiltersName = filters
	}
	set, faults := mapping.Load(files, opt)
	require.Empty(t, faults.Render())
	sets[backend+" "+filters] = set
	return set
}

// transformWith gives the statements of an event, through the filters of a folder unless it is "".
func transformWith(t *testing.T, backend, filters, line string) []gjson.Result {
	t.Helper()
	var p event.Parser
	ev, err := p.Parse([]byte(line))
	require.NoError(t, err)
	r := load(t, backend, filters).NewWorker().Transform(t.Context(), ev)
	if r.Rejection != nil {
		require.NoError(t, r.Rejection)
	}
	require.Equal(t, mapping.Transformed, r.Outcome)
	require.Empty(t, r.Warnings)
	var out []gjson.Result
	for _, s := range r.Statements {
		require.True(t, gjson.ValidBytes(s.JSON))
		out = append(out, gjson.Parse(string(s.JSON)))
	}
	return out
}

const (
	played = `{"name":"play_video","timestamp":"2026-03-23T07:25:34Z","context":{"course_id":"course-v1:NordU+BIO101+2026_S1","org_id":"NordU","user_id":101,"session":"s1"},"data":{"id":"v","currentTime":1}}`
	posted = `{"name":"edx.forum.thread.created","timestamp":"2026-03-23T07:25:34Z","context":{"course_id":"course-v1:NordU+BIO101+2026_S1","org_id":"NordU","path":"/x/","user_id":101,"session":"s1"},"data":{"id":"t1","title":"I am Maria"}}`
	typed  = `{"name":"problem_check","timestamp":"2026-03-23T07:25:34Z","context":{"course_id":"course-v1:NordU+BIO101+2026_S1","user_id":101},"data":{"problem_id":"p","grade":1,"max_grade":1,"submission":{"a":{"answer":"I am Maria","correct":true,"response_type":"stringresponse"}}}}`
)

func TestExamplesCompile(t *testing.T) {
	folders, err := fs.ReadDir(mappings.FS, examples)
	require.NoError(t, err)
	require.Len(t, folders, 4)
	readme, err := fs.ReadFile(mappings.FS, "filters/README.md")
	require.NoError(t, err)
	for _, folder := range folders {
		assert.Contains(t, string(readme), "| `"+folder.Name()+"` |")
		for _, backend := range []string{"xapi", "caliper"} {
			before := transformWith(t, backend, "", played)
			after := transformWith(t, backend, path.Join(examples, folder.Name()), played)
			assert.Equal(t, before[0].Get("id").String(), after[0].Get("id").String(), "the id of the statement stays")
		}
	}
}

func TestUsername(t *testing.T) {
	s := transformWith(t, "xapi", path.Join(examples, "username"), played)[0]
	assert.JSONEq(t, `{"objectType":"Agent","account":{"name":"maria.santos","homePage":"https://learn.nordu.example"}}`, s.Get("actor").Raw)
	s = transformWith(t, "caliper", path.Join(examples, "username"), played)[0]
	assert.JSONEq(t, `{"id":"https://learn.nordu.example/user/00892c3b-77f8-529f-9bd1-af55bb48d207","type":"Person","name":"maria.santos"}`, s.Get("actor").Raw)
}

func TestSecondLanguage(t *testing.T) {
	s := transformWith(t, "xapi", path.Join(examples, "second-language"), played)[0]
	assert.JSONEq(t, `{"id":"https://w3id.org/xapi/video/verbs/played","display":{"en":"played","es":"reprodujo"}}`, s.Get("verb").Raw)
}

// TestSecondLanguageIsComplete sees that every verb of the mappings has a translation.
func TestSecondLanguageIsComplete(t *testing.T) {
	example, err := fs.ReadFile(mappings.FS, path.Join(examples, "second-language/xapi.yaml"))
	require.NoError(t, err)
	base, err := fs.ReadFile(mappings.FS, "xapi/base.yaml")
	require.NoError(t, err)
	verbs := 0
	for line := range strings.Lines(string(base)) {
		if _, verb, ok := strings.Cut(line, "display: {en: "); ok {
			verb, _, _ = strings.Cut(verb, "}")
			verbs++
			assert.Contains(t, string(example), `"`+verb+`": "`)
		}
	}
	assert.Greater(t, verbs, 20)
}

func TestOrganisation(t *testing.T) {
	folder := path.Join(examples, "organisation")
	extensions := transformWith(t, "xapi", folder, played)[0].Get("context.extensions").Map()
	assert.Equal(t, "Life Sciences", extensions["https://learn.nordu.example/xapi/extensions/faculty"].String())
	assert.Equal(t, "2026_S1", extensions["https://learn.nordu.example/xapi/extensions/course-run"].String())
	assert.JSONEq(t, `{"id":"https://learn.nordu.example/faculties/life-sciences","type":"Organization","name":"Life Sciences"}`,
		transformWith(t, "caliper", folder, played)[0].Get("group").Raw)
	elsewhere := strings.ReplaceAll(played, `"org_id":"NordU"`, `"org_id":"SomeU"`)
	for _, backend := range []string{"xapi", "caliper"} {
		assert.Equal(t, transformWith(t, backend, "", elsewhere), transformWith(t, backend, folder, elsewhere))
	}
}

func TestNoPersonalData(t *testing.T) {
	folder := path.Join(examples, "no-personal-data")
	for _, line := range []string{played, posted, typed} {
		for _, backend := range []string{"xapi", "caliper"} {
			text := transformWith(t, backend, folder, line)[0].Raw
			assert.NotContains(t, text, `"s1"`)
			assert.NotContains(t, text, "sessions/")
			assert.NotContains(t, text, "I am Maria")
		}
	}
	assert.Contains(t, transformWith(t, "xapi", "", typed)[0].Raw, "I am Maria")
	assert.Contains(t, transformWith(t, "caliper", "", posted)[0].Raw, "I am Maria")
}
