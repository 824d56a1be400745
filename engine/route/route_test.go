package route

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/event"
)

// plainly is the meaning of match_params in plain Go.
func plainly(params []Param, event []byte) bool {
	for _, param := range params {
		v := gjson.GetBytes(event, param.Key)
		for _, in := range []string{"context.", "data."} {
			if !v.Exists() && !strings.Contains(param.Key, ".") {
				v = gjson.GetBytes(event, in+param.Key)
			}
		}
		text := v.Raw
		if v.Type == gjson.String {
			text = v.Str
		}
		if !v.Exists() || v.Type == gjson.Null || v.IsObject() || v.IsArray() {
			return false
		}
		found := false
		for _, pat := range param.Patterns {
			found = found || regexp.MustCompile(pat).MatchString(text)
		}
		if !found {
			return false
		}
	}
	return true
}

func parse(t *testing.T, src string) *Set {
	t.Helper()
	s, faults := Parse("routers.yaml", []byte(src), Options{})
	require.Empty(t, faults, faults.Render())
	return s
}

// The two samples of the plugin's documentation, as they stand.
const (
	sampleContent = `{
       "override_args":{
           "sensor_id":"sensor@example.com"
       },
       "headers":{
           "test":"header"
       },
       "match_params":{
           "course_id":"^.*course-v.:edX\\+.*\\+2021.*$",
           "name":[
               "^problem.*",
               "video"
           ]
       }
   }`
	sampleEnterprise = `{
       "match_params":{
           "enterprise_uuid":"org_XYZ",
           "name":[
               "edx.course.grade.passed.first_time",
               "edx.course.enrollment.activated"
           ]
       }
   }`
)

func named(sample string) string {
	return strings.Replace(sample, "{", `{"name": "lrs", "url": "http://h/x",`, 1)
}

func TestSamplesOfThePlugin(t *testing.T) {
	s := parse(t, `{"caliper": [`+named(sampleContent)+`], "xapi": [`+named(sampleEnterprise)+`]}`)
	require.Empty(t, s.Resolve(os.LookupEnv))
	tests := []struct {
		backend, name, event string
		want                 bool
	}{
		{"caliper", "problem_check", `{"name":"problem_check","context":{"course_id":"course-v1:edX+D+2021_T1"}}`, true},
		{"caliper", "edx.video.played", `{"name":"edx.video.played","context":{"course_id":"course-v1:edX+D+2021"}}`, true},
		{"caliper", "play_video", `{"name":"play_video","data":{"course_id":"course-v1:edX+D+2021"}}`, true},
		{"caliper", "problem_check", `{"name":"problem_check","context":{"course_id":"course-v1:edX+D+2022"}}`, false},
		{"caliper", "a.problem", `{"name":"a.problem","context":{"course_id":"course-v1:edX+D+2021"}}`, false},
		{"caliper", "problem_check", `{"name":"problem_check"}`, false},
		{"caliper", "problem_check", `{"name":"problem_check","context":{"course_id":null}}`, false},
		{"xapi", "edx.course.enrollment.activated", `{"name":"edx.course.enrollment.activated","context":{"enterprise_uuid":"org_XYZ"}}`, true},
		{"xapi", "edx.course.enrollment.activated", `{"name":"edx.course.enrollment.activated"}`, false},
		{"xapi", "other", `{"name":"other","context":{"enterprise_uuid":"org_XYZ"}}`, false},
	}
	for _, tt := range tests {
		got := s.Wanted(nil, tt.backend, event.Event{Name: tt.name, JSON: []byte(tt.event)})
		assert.Equal(t, tt.want, len(got) == 1, "%s", tt.event)
	}
	cfg := s.Backend("caliper")[0].Delivery("http://example.com/sensors")
	assert.Equal(t, map[string]string{"test": "header"}, cfg.Headers)
	env, err := cfg.Override([]byte(`{"sensor":"a","data":[]}`))
	require.NoError(t, err)
	assert.Equal(t, `{"sensor":"a","data":[],"sensor_id":"sensor@example.com"}`, string(env))
	assert.Nil(t, s.Backend("xapi")[0].Delivery("").Override)
}

func TestParseReadsEverything(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte("from-file\n"), 0o600))
	src := `
xapi:
  - name: lrs
    url: https://lrs.example.com/xAPI
    auth: {scheme: Basic, username: key, password: "${env:LRS_PASSWORD}"}
    match_params: {name: ["^problem.*", video], course: 2021, ok: true}
    override_args: {version: 1.0.0, authority: {objectType: Agent, n: 1.50}}
    headers: {X-Key: "a ${env:HEADER} b", X-Empty: ~}
    retry: {max_retries: 5, countdown: 90}
    batch: {enabled: true, size: 20, interval: 2s}
    timeout: 5s
    gzip: true
    requests: 7
  - name: off
    enabled: false
    url: http://h
  - {name: plain, url: "http://h/${env:PATH_PART}"}
caliper:
  - {name: lrs, url: http://h, auth: {scheme: bearer, token: "${file:token}"}, match_params: {}, override_args: ~}
`
	s, faults := Parse(filepath.Join(dir, "routers.yaml"), []byte(src), Options{Timeout: time.Minute})
	require.Empty(t, faults, faults.Render())
	env := map[string]string{"LRS_PASSWORD": "hunter2", "HEADER": "x", "PATH_PART": "p"}
	require.Empty(t, s.Resolve(func(k string) (string, bool) { v, ok := env[k]; return v, ok }))
	require.Len(t, s.All(), 3)
	r := s.Backend("xapi")[0]
	cfg := r.Delivery("")
	assert.Equal(t, deliver.Auth{Scheme: deliver.Basic, Username: "key", Password: "hunter2"}, cfg.Auth)
	assert.Equal(t, map[string]string{"X-Key": "a x b", "X-Empty": ""}, cfg.Headers)
	assert.Equal(t, "https://lrs.example.com/xAPI", cfg.URL)
	assert.Equal(t, 5*time.Second, cfg.Timeout)
	assert.True(t, cfg.Gzip)
	assert.Equal(t, 7, cfg.Conns)
	assert.Equal(t, 20, r.BatchSize())
	assert.Equal(t, 2*time.Second, r.Batch.Interval)
	assert.Equal(t, 90*time.Second, r.Retry.Countdown)
	assert.Equal(t, 5, r.Retry.MaxRetries)
	assert.Equal(t, []Param{{"name", []string{"^problem.*", "video"}}, {"course", []string{"2021"}}, {"ok", []string{"true"}}}, r.Params)
	got, err := r.Override([]byte(`{"id":"a","version":"x"}`))
	require.NoError(t, err)
	assert.Equal(t, `{"id":"a","version":"1.0.0","authority":{"objectType":"Agent","n":1.50}}`, string(got))

	plain := s.Backend("xapi")[1]
	assert.Equal(t, "http://h/p", plain.Delivery("").URL)
	assert.Equal(t, time.Minute, plain.Timeout)
	assert.Equal(t, 1, plain.BatchSize())
	assert.Equal(t, DefaultCountdown, plain.Retry.Countdown)
	assert.True(t, plain.Wants(event.Event{Name: "anything", JSON: []byte(`{}`)}))
	assert.Equal(t, deliver.Auth{Scheme: deliver.Bearer, Token: "from-file"}, s.Backend("caliper")[0].Delivery("").Auth)
	assert.True(t, s.Backend("caliper")[0].Wants(event.Event{Name: "anything", JSON: []byte(`{}`)}))
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", r, r, []*Router{r}), "hunter2")

	other, _ := Parse("x", []byte(src+"\n"), Options{})
	assert.NotEqual(t, s.Hash(), other.Hash())
	assert.Empty(t, s.Backend("nothing"))
}

func TestFaults(t *testing.T) {
	const head = "xapi:\n- name: lrs\n  url: http://h\n"
	tests := []struct{ name, src, want string }{
		{"empty", "", "r.yaml:1:1: file is empty"},
		{"list", "[]", "r.yaml:1:1: expected backends with their routers, found a sequence"},
		{"backend", "xapy:\n- {}", `r.yaml:1:1: xapy: unknown backend "xapy" (did you mean "xapi"?)`},
		{"no list", "xapi: {name: a}", "r.yaml:1:7: xapi: expected a list of routers, found a mapping"},
		{"no router", "xapi: [a]", "r.yaml:1:8: xapi[0]: expected a router with name and url, found a scalar"},
		{"missing", "xapi: [{}]", `key "name" is missing`},
		{"key", head + "  urll: x", `r.yaml:4:3: xapi[0].urll: unknown key "urll" (did you mean "url"?)`},
		{"name", "xapi: [{name: a b, url: http://h}]", "r.yaml:1:15: xapi[0].name: the name of a router has 1 to 64"},
		{"twice", head + "- name: lrs\n  url: http://h", `r.yaml:4:9: xapi[1].name: there is another router "lrs" at r.yaml:2:3`},
		{"url", "xapi: [{name: a, url: ftp://h}]", "r.yaml:1:23: xapi[0].url: unusable delivery settings: the url needs http or https"},
		{"url user", "xapi: [{name: a, url: 'http://u:hunter2@h'}]", "move them to auth"},
		{"scheme", head + "  auth: {scheme: digest, password: hunter2}", `r.yaml:4:18: xapi[0].auth.scheme: unusable delivery settings: auth scheme "digest" is none of`},
		{"basic", head + "  auth: {scheme: basic, username: a}", "auth scheme basic needs password"},
		{"bearer", head + "  auth: {scheme: bearer, password: hunter2}", "auth scheme bearer needs token"},
		{"auth key", head + "  auth: {passwrod: hunter2}", `unknown key "passwrod" (did you mean "password"?)`},
		{"auth type", head + "  auth: {password: 12345}", "r.yaml:4:20: xapi[0].auth.password: expected a string (put it in quotes)"},
		{"secret", head + "  auth: {scheme: bearer, token: '${enf:X}'}", "malformed reference to a secret"},
		{"pattern", head + "  match_params:\n    name: 'ab(c'", "r.yaml:5:12: xapi[0].match_params.name: not a regular expression (RE2): missing closing )"},
		{"pattern place", head + "  match_params:\n    name: [x, 'é\\8']", "r.yaml:5:17: xapi[0].match_params.name[1]: not a regular expression (RE2): invalid escape sequence: \\8"},
		{"lookahead", head + "  match_params: {name: '^(?!x)'}", "(RE2 knows neither look-ahead nor look-behind)"},
		{"null pattern", head + "  match_params: {name: ~}", "expected a regular expression"},
		{"empty list", head + "  match_params: {name: []}", "an empty list matches no event"},
		{"match type", head + "  match_params: name", "expected keys of events with regular expressions, found a scalar"},
		{"match path", head + "  match_params: {a..b: x}", `"a..b" is no path of an event`},
		{"override id", head + "  override_args: {id: x}", "every statement would have the same id"},
		{"override data", strings.Replace(head, "xapi", "caliper", 1) + "  override_args: {data: []}", "data holds the events"},
		{"override type", head + "  override_args: [a]", "expected keys with values"},
		{"header", head + "  headers: {a b: x}", `"a b" is not the name of a header`},
		{"own header", head + "  headers: {Host: x}", `header "Host" is set by erbd itself`},
		{"header type", head + "  headers: {X: {a: b}}", "expected a string"},
		{"batch", head + "  batch: {size: 0}", "r.yaml:4:17: xapi[0].batch.size: the size of a batch is 1 to 10000"},
		{"retry", head + "  retry: {max_retries: -1}", "max_retries is 0 to 1000"},
		{"countdown", head + "  retry: {countdown: 0s}", "countdown is above 0"},
		{"timeout", head + "  timeout: 0", "timeout is above 0"},
		{"requests", head + "  requests: 100", "requests is 1 to 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, faults := Parse("r.yaml", []byte(tt.src), Options{})
			assert.Nil(t, s)
			require.True(t, faults.HasErrors())
			var all []string
			for _, d := range faults {
				all = append(all, d.Error())
			}
			assert.Contains(t, strings.Join(all, "\n"), tt.want)
			assert.NotContains(t, faults.Render(), "hunter2")
			assert.NotContains(t, faults.Render(), "12345")
		})
	}
}

func TestAllFaultsAreTold(t *testing.T) {
	_, faults := Parse("r.yaml", []byte("xapi:\n- {name: a b, url: x, requests: 0}\n- {name: c, url: http://h, match_params: {a: '(', b: ')'}}\n"), Options{})
	assert.Len(t, faults, 5, faults.Render())
	// Predicates are compiled for all routers, with the disabled ones.
	long := strings.Repeat("x", 3000)
	_, faults = Parse("r.yaml", []byte("xapi:\n- {name: a, url: http://h, match_params: {name: x, b: y, c: [z, "+long+"]}}\n- {name: b, url: http://h, enabled: false, match_params: {c: d, name: "+long+"}}\n- {name: c, url: http://h, match_params: {x: '('}}\n"), Options{})
	require.Len(t, faults, 3, faults.Render())
	assert.ErrorContains(t, faults[0], "r.yaml:2:65: xapi[0].match_params.c[1]: match_params cannot be compiled: bad regular expression: it is longer than 2048 bytes")
	assert.ErrorContains(t, faults[1], "r.yaml:3:71: xapi[1].match_params.name: match_params cannot be compiled: bad regular expression")
	assert.ErrorContains(t, faults[2], "r.yaml:4:")
}

func TestResolveFaults(t *testing.T) {
	s := parse(t, `
xapi:
- {name: a, url: http://h, auth: {scheme: bearer, token: "${env:MISSING}"}}
- {name: b, url: "${env:URL}"}
- {name: c, url: http://h, headers: {X: "${env:LINE}"}}
- {name: d, url: http://h, auth: {scheme: basic, username: x, password: "${file:absent}"}}
`)
	env := map[string]string{"URL": "ftp://hunter2", "LINE": "hunter2\nx"}
	faults := s.Resolve(func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	require.Len(t, faults, 4, faults.Render())
	assert.ErrorContains(t, faults[0], "routers.yaml:3:58: xapi[0].auth.token: secret is not there: environment variable MISSING is not set")
	assert.ErrorContains(t, faults[1], "router b cannot be used")
	assert.ErrorContains(t, faults[2], `the value of header "X" holds characters`)
	assert.ErrorContains(t, faults[3], "file absent does not exist")
	assert.NotContains(t, faults.Render(), "hunter2")
}

// names lists routers, to compare.
func names(routers []*Router) []string {
	out := []string{}
	for _, r := range routers {
		out = append(out, r.Name)
	}
	return out
}

func TestWanted(t *testing.T) {
	s := parse(t, `xapi:
- {name: all, url: http://h}
- {name: video, url: http://h, match_params: {name: [video, "^seek"]}}
- {name: course, url: http://h, match_params: {course_id: "\\+2021"}}
- {name: both, url: http://h, match_params: {data.n: "^1.50$", name: video, flag: "true"}}
- {name: off, enabled: false, url: http://h, match_params: {name: video}}
- {name: empty, url: http://h, match_params: {}}
caliper:
- {name: only, url: http://h, match_params: {name: ^x$}}
`)
	tests := []struct {
		name, json string
		want       []string
	}{
		{"play_video", `{"name":"play_video"}`, []string{"all", "video", "empty"}},
		{"play_video", `{"name":"play_video","context":{"course_id":"course-v1:a+b+2021","flag":true},"data":{"n":1.50}}`, []string{"all", "video", "course", "both", "empty"}},
		{"x", `{"name":"x","course_id":null,"context":{"course_id":"course-v1:a+b+2021"}}`, []string{"all", "empty"}},
		{"x", `{"name":"x","data":{"course_id":"course-v1:a+b+2021","n":1.50,"flag":true}}`, []string{"all", "course", "empty"}},
		{"seek", `{"name":"seek","data":{"n":[1.50]}}`, []string{"all", "video", "empty"}},
	}
	var wg sync.WaitGroup
	for range 4 { // it is safe for concurrent use
		wg.Go(func() {
			for range 50 {
				for _, tt := range tests {
					assert.Equal(t, tt.want, names(s.Wanted(nil, "xapi", event.Event{Name: tt.name, JSON: []byte(tt.json)})), tt.json)
					for _, r := range s.Backend("xapi") {
						assert.Equal(t, slices.Contains(tt.want, r.Name), r.Wants(event.Event{Name: tt.name, JSON: []byte(tt.json)}), "%s %s", r, tt.json)
					}
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, []string{"only"}, names(s.Wanted(nil, "caliper", event.Event{Name: "x", JSON: []byte(`{"name":"x"}`)})))
	assert.Empty(t, s.Wanted(nil, "lti", event.Event{Name: "x", JSON: []byte(`{"name":"x"}`)}))
}

func TestNamesAreRemembered(t *testing.T) {
	s := parse(t, "xapi: [{name: a, url: http://h, match_params: {name: video}}, {name: b, url: http://h, match_params: {name: video, x: y}}]")
	a, b := s.All()[0], s.All()[1]
	assert.True(t, a.Wants(event.Event{Name: "play_video", JSON: []byte(`{"name":"play_video"}`)}))
	assert.True(t, a.Wants(event.Event{Name: "play_video"}), "the event is not looked at again")
	assert.False(t, a.Wants(event.Event{Name: "x", JSON: []byte(`{"name":"x"}`)}))
	assert.False(t, a.Wants(event.Event{Name: "x"}))
	assert.False(t, b.Wants(event.Event{Name: "x"}), "the name settles it")
	assert.False(t, b.Wants(event.Event{Name: "play_video", JSON: []byte(`{"name":"play_video","x":"z"}`)}))
	assert.True(t, b.Wants(event.Event{Name: "play_video", JSON: []byte(`{"name":"play_video","x":"y"}`)}))
	for i := range 2 * maxMemo {
		a.Wants(event.Event{Name: fmt.Sprint(i), JSON: []byte(`{"name":"x"}`)})
	}
	assert.Len(t, *a.backend.memo.names.Load(), maxMemo)
	assert.True(t, a.Wants(event.Event{Name: "new video", JSON: []byte(`{"name":"new video"}`)}))
	buf := make([]*Router, 0, 2)
	ev := event.Event{Name: "x", JSON: []byte(`{"name":"play_video"}`)}
	assert.Zero(t, testing.AllocsPerRun(100, func() { buf = s.Wanted(buf[:0], "xapi", ev) }))
}

// FuzzWanted compares the predicates with their meaning in plain Go.
func FuzzWanted(f *testing.F) {
	f.Add("name", "video", "course_id", `\\+2021`, `{"name":"play_video","context":{"course_id":"a+2021"}}`)
	f.Add("data.n", "^1.5", "name", "x", `{"name":"x","data":{"n":1.5e3}}`)
	f.Add("a", "^true$", "b", ".", `{"name":"é","a":true,"data":{"b":["x"]}}`)
	path := regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)*$`)
	f.Fuzz(func(t *testing.T, k1, p1, k2, p2, line string) {
		var parser event.Parser
		ev, err := parser.Parse([]byte(line))
		if err != nil || k1 == k2 || !path.MatchString(k1) || !path.MatchString(k2) || strings.Contains(line, `\`) {
			return
		}
		for _, p := range []string{p1, p2} {
			if _, err := regexp.Compile(p); err != nil || len(p) > 1000 {
				return
			}
		}
		r := &Router{Params: []Param{{k1, []string{p1, p2}}, {k2, []string{p2}}}}
		r.backend = &backend{routers: []*Router{r}}
		require.Empty(t, r.backend.compile())
		if seen := map[string]bool{}; repeats(ev.JSON, seen) {
			return // gjson takes the first of several keys
		}
		assert.Equal(t, plainly(r.Params, ev.JSON), r.Wants(ev), "%v %s", r.Params, ev.JSON)
	})
}

// repeats reports whether any key stands twice.
func repeats(b []byte, seen map[string]bool) bool {
	twice := false
	var walk func(at string, v gjson.Result)
	walk = func(at string, v gjson.Result) {
		if !v.IsObject() {
			return
		}
		v.ForEach(func(k, v gjson.Result) bool {
			key := at + "." + k.Str
			twice = twice || seen[key]
			seen[key] = true
			walk(key, v)
			return true
		})
	}
	walk("", gjson.ParseBytes(b))
	return twice
}

func BenchmarkWanted(b *testing.B) {
	s, faults := Parse("r", []byte(`{"xapi": [`+named(sampleContent)+`,`+strings.Replace(named(sampleEnterprise), "lrs", "other", 1)+`]}`), Options{})
	require.Empty(b, faults)
	for name, line := range map[string]string{
		"settled by name": `{"name":"seek","context":{"course_id":"course-v1:edX+D+2021"}}`,
		"one pass":        `{"name":"play_video","context":{"course_id":"course-v1:edX+D+2021","path":"/event"},"data":{"id":"x","currentTime":1.5}}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var parser event.Parser
			ev, err := parser.Parse([]byte(line))
			require.NoError(b, err)
			var buf []*Router
			for b.Loop() {
				buf = s.Wanted(buf[:0], "xapi", ev)
			}
		})
	}
}

func TestOverrideKeepsTheRest(t *testing.T) {
	doc := []byte(`{"a.b":1,"a":{"b":2},"0":3,"#":4}`)
	for _, key := range []string{"a.b", "a", "0", "#", "new", "x|y", "*", "@this", `back\slash`, `q"uote`, "http://x/y.z", ":c", "é", "-1", "a:b", "!", "~", "{", " ", "a?", "..", "\n"} {
		r := &Router{Overrides: []Override{{key, []byte(`{"v":[1]}`)}}}
		got, err := r.Override(doc)
		require.NoError(t, err, key)
		var was, is map[string]any
		require.NoError(t, json.Unmarshal(doc, &was))
		require.NoError(t, json.Unmarshal(got, &is), "%q: %s", key, got)
		was[key] = map[string]any{"v": []any{1.0}}
		assert.Equal(t, was, is, "%q", key)
	}
	assert.Equal(t, `{"a.b":1,"a":{"b":2},"0":3,"#":4}`, string(doc))
}

func FuzzOverride(f *testing.F) {
	f.Add("a.b", "c")
	f.Add("#", ":1")
	f.Fuzz(func(t *testing.T, key, other string) {
		if key == "" || strings.ToValidUTF8(key, "") != key || strings.ToValidUTF8(other, "") != other {
			return
		}
		doc, err := json.Marshal(map[string]any{other: 1.0, "x": map[string]any{key: 2.0}})
		require.NoError(t, err)
		r := &Router{Overrides: []Override{{key, []byte(`true`)}}}
		got, err := r.Override(doc)
		require.NoError(t, err)
		var was, is map[string]any
		require.NoError(t, json.Unmarshal(doc, &was))
		require.NoError(t, json.Unmarshal(got, &is), "%s", got)
		was[key] = true
		assert.Equal(t, was, is)
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("xapi:\n- {name: a, url: http://h, match_params: {a: [b, '(']}, headers: {X: '${env:A}'}}"))
	f.Add([]byte(`{"caliper": [` + named(sampleContent) + `]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, faults := Parse("r.yaml", src, Options{})
		assert.Equal(t, s == nil, faults.HasErrors())
		if s != nil {
			s.Resolve(func(string) (string, bool) { return "x", true })
		}
	})
}

func TestImportRows(t *testing.T) {
	rows := `[
 {"model":"auth.user","pk":1,"fields":{}},
 {"model":"event_routing_backends.routerconfiguration","pk":3,"fields":{"enabled":true,"backend_name":"caliper","route_url":"https://c.example.com/events","auth_scheme":"BEARER","auth_key":"hunter2-token","username":null,"password":null,"configurations":` + sampleContent + `}},
 {"model":"event_routing_backends.routerconfiguration","pk":1,"fields":{"enabled":true,"backend_name":"xapi","route_url":"https://lrs.example.com/xAPI","auth_scheme":"BASIC","username":"key","password":"old","configurations":{}}},
 {"model":"event_routing_backends.routerconfiguration","pk":2,"fields":{"enabled":false,"backend_name":"xapi","route_url":"https://lrs.example.com/xAPI","auth_scheme":"BASIC","username":"key","password":"hunter2-pass","configurations":` + fmt.Sprintf("%q", `{"match_params":{"enterprise_uuid":"org_XYZ","n":5,"s":"5"},"headers":{"X":"a${b"},"extra":1,"override_args":null}`) + `}},
 {"model":"event_routing_backends.routerconfiguration","pk":4,"fields":{"enabled":true,"backend_name":"xapi","route_url":"https://lrs.example.com/other","auth_scheme":"NONE","configurations":null}},
 {"model":"event_routing_backends.routerconfiguration","pk":5,"fields":{"enabled":true,"backend_name":"other","route_url":"https://h"}}
]`
	im, err := ImportRows([]byte(rows))
	require.NoError(t, err)
	assert.Equal(t, 3, im.Routers)
	assert.Equal(t, []string{
		"1 older rows of routers with newer ones are left out",
		`row 2: has "extra" in its configurations, which no router knows: left out`,
		`row 5: has backend "other", which is neither xapi nor caliper: left out`,
	}, im.Notes)
	assert.Equal(t, []Variable{{"ROUTER_CALIPER_C_EXAMPLE_COM_TOKEN", "hunter2-token"}, {"ROUTER_XAPI_LRS_EXAMPLE_COM_PASSWORD", "hunter2-pass"}}, im.Secrets)
	assert.Equal(t, `xapi:
    - name: lrs-example-com
      enabled: false
      url: https://lrs.example.com/xAPI
      auth:
        scheme: basic
        username: key
        password: ${env:ROUTER_XAPI_LRS_EXAMPLE_COM_PASSWORD}
      match_params:
        enterprise_uuid: org_XYZ
        n: 5
        s: "5"
      headers:
        X: a$${b
    - name: lrs-example-com-2
      url: https://lrs.example.com/other
caliper:
    - name: c-example-com
      url: https://c.example.com/events
      auth:
        scheme: bearer
        token: ${env:ROUTER_CALIPER_C_EXAMPLE_COM_TOKEN}
      override_args:
        sensor_id: sensor@example.com
      headers:
        test: header
      match_params:
        course_id: ^.*course-v.:edX\+.*\+2021.*$
        name:
            - ^problem.*
            - video
`, string(im.YAML))
}

func TestImportRowsRefuses(t *testing.T) {
	row := func(fields string) string {
		return `[{"model":"event_routing_backends.routerconfiguration","pk":7,"fields":{"backend_name":"xapi","route_url":"http://h",` + fields + `}}]`
	}
	for name, tt := range map[string]struct{ src, want string }{
		"no json":   {"hunter2", "syntax error at byte 1"},
		"no list":   {"{}", "is a object"},
		"cut":       {`[{"model":"x"`, "syntax error"},
		"nothing":   {"[]", "there is no router in it"},
		"encrypted": {row(`"configurations":"gAAAAhunter2"`), "row 7: configurations is no JSON: is it still encrypted?"},
		"list":      {row(`"configurations":["hunter2"]`), "row 7: configurations is no JSON object"},
		"type":      {row(`"password":["hunter2"]`), "row 7: field"},
		"pattern":   {row(`"configurations":{"match_params":{"a":"("}}`), "not a regular expression"},
	} {
		_, err := ImportRows([]byte(tt.src))
		assert.ErrorIs(t, err, ErrRows, name)
		assert.ErrorContains(t, err, tt.want, name)
		assert.NotContains(t, fmt.Sprint(err), "hunter2", name)
	}
	im, err := ImportRows([]byte(strings.Replace(row(`"auth_scheme":"BEARER","auth_key":""`), "http://h", "http://u:hunter2@h", 1)))
	require.NoError(t, err)
	assert.NotContains(t, string(im.YAML), "hunter2")
	assert.Equal(t, "hunter2", im.Secrets[0].Value)
}

func FuzzImportRows(f *testing.F) {
	f.Add([]byte(`[{"model":"event_routing_backends.routerconfiguration","pk":1,"fields":{"backend_name":"xapi","route_url":"http://h","configurations":"{}"}}]`))
	f.Fuzz(func(t *testing.T, src []byte) {
		if _, err := ImportRows(src); err != nil {
			assert.ErrorIs(t, err, ErrRows)
		}
	})
}

func BenchmarkWantsByName(b *testing.B) {
	s, _ := Parse("r", []byte("xapi: [{name: a, url: http://h, match_params: {name: video}}]"), Options{})
	r, ev := s.All()[0], event.Event{Name: "play_video", JSON: []byte(`{"name":"play_video"}`)}
	for b.Loop() {
		r.Wants(ev)
	}
}
