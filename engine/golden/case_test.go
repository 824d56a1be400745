package golden

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/yamldoc"
)

// FuzzCase: no file makes a panic, and what is accepted has an event of the folder's name.
func FuzzCase(f *testing.F) {
	for _, seed := range []string{
		"event: {name: ping, data: {id: 1}}\nexpect:\n  - {id: x}\n",
		"settings: {lms: {root_url: http://x}}\nevent: |\n  {\"name\": \"ping\", \"event\": \"{}\"}\nexpect: unmapped\n",
		"event: {name: ping, data: {}}\nexpect: {rejected: {field: a, reason: b}}\n",
		"event: [ping]\nexpect: {}\n", "event:\nexpect:\n", "{}", "- a", "~", "event: {name: ping}\nsettings: [1]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, faults := parseCase("xapi/ping/one", "one.yaml", src, nil, "")
		if c == nil {
			require.NotEmpty(t, faults)
			return
		}
		require.False(t, faults.HasErrors())
		ev, err := new(event.Parser).Parse(c.Line)
		require.NoError(t, err)
		require.Equal(t, "ping", ev.Name)
		if out, err := c.with([]byte("expect: unmapped\n")); err == nil {
			require.True(t, bytes.HasSuffix(out, []byte("expect: unmapped\n")))
		}
	})
}

func TestDrafts(t *testing.T) {
	for name, want := range map[string]string{
		`{"name":"edx.poll.answered","data":{"block_id":"b1","choice":"red","list":[1]}}`:    `${root}/xblock/${require("data.block_id")}`,
		`{"name":"edx.link.clicked","data":{"target_url":"https://example.org"}}`:            `${require("data.target_url")}`,
		`{"name":"edx.course.tool.accessed","data":{"tool_name":"x","course_id":"c"}}`:       `${root}/course/${require("context.course_id")}`,
		`{"name":"edx.team.created","data":{"team_id":"t1","user_id":7}}`:                    `${root}/xblock/${require("data.team_id")}`,
		`{"name":"page_close","event":"{}","time":"2026-03-02T09:15:04+00:00","context":{}}`: `${root}/course/${require("context.course_id")}`,
	} {
		ev, err := new(event.Parser).Parse([]byte(name))
		require.NoError(t, err)
		for _, backend := range []string{"xapi", "caliper"} {
			doc, faults := yamldoc.Parse("draft.yaml", Draft(backend, ev))
			require.Empty(t, faults.Render())
			assert.Equal(t, want, doc.Root.Get("statement").Get("object").Get("id").Text)
		}
		c, faults := parseCase("xapi/"+ev.Name+"/one", "one.yaml", DraftCase([]byte(name)), nil, "")
		require.Empty(t, faults.Render())
		if gjson.Get(name, "data").Exists() {
			assert.JSONEq(t, name, string(c.Line))
		} else {
			assert.Equal(t, name, string(c.Line))
		}
	}
	// What YAML could not hold stays as it is.
	twice := `{"name":"a","data":{"x":1,"x":2}}`
	c, faults := parseCase("xapi/a/one", "one.yaml", DraftCase([]byte(twice)), nil, "")
	require.Empty(t, faults.Render())
	assert.Equal(t, twice, string(c.Line))
}

func TestExpressionMutants(t *testing.T) {
	var got []string
	const source = `or_else(get("a.b"), x) == null && n >= 1.0 ? "y" : trim_end(z, "/")`
	expressionMutants(source, func(from, to int, by, _ string) { got = append(got, source[:from]+by+source[to:]) })
	assert.Contains(t, got, `or_else(get("a.b~"), x) == null && n >= 1.0 ? "y" : trim_end(z, "/")`)
	assert.Contains(t, got, `(get("a.b")) == null && n >= 1.0 ? "y" : trim_end(z, "/")`)
	assert.Contains(t, got, `or_else( x) == null && n >= 1.0 ? "y" : trim_end(z, "/")`)
	assert.Contains(t, got, `or_else(get("a.b"), x) == null && n > 1.0 ? "y" : trim_end(z, "/")`)
	assert.Contains(t, got, `or_else(get("a.b"), x) == null || n >= 1.0 ? "y" : trim_end(z, "/")`)
	assert.Contains(t, got, `or_else(get("a.b"), x) == null && n >= 2.0 ? "y" : trim_end(z, "/")`)
	assert.Contains(t, got, `or_else(get("a.b"), x) == null && n >= 1.0 ? "y" : trim_start(z, "/")`)
	assert.Contains(t, got, `or_else(get("a.b"), x) == null && n >= 1.0 ? "y" : trim_end(z, "~")`)
	for _, odd := range []string{`"`, `'\`, `f(`, `f(a,`, `)(`, "\x00é"} {
		expressionMutants(odd, func(int, int, string, string) {})
	}
}
