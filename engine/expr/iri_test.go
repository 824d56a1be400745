package expr

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/tidwall/gjson"
)

func TestAbsoluteIRI(t *testing.T) {
	const root = "https://lms.example.org"
	for _, c := range []struct{ in, want string }{
		{"http://x/a", "http://x/a"},
		{"http://x/a b", "http://x/a%20b"},
		{"  http://x/a\n", "http://x/a"},
		{"http://x/ü/漢?q=ä", "http://x/ü/漢?q=ä"},
		{"http://x/?q=[1]&r={y}|\\^`<>\"", "http://x/?q=%5B1%5D&r=%7By%7D%7C%5C%5E%60%3C%3E%22"},
		{"http://[::1]:8000/a[b]", "http://[::1]:8000/a%5Bb%5D"},
		{"http://x/#a#b", "http://x/#a%23b"},
		{"http://x/100%/%41%4", "http://x/100%25/%41%254"},
		{"http://x/\u0000\u0007\u202e\ufffd\ue000", "http://x/%00%07%E2%80%AE%EF%BF%BD%EE%80%80"},
		{"http://x/🎓", "http://x/🎓"},
		{"/courses/a b", root + "/courses/a%20b"},
		{"#top", root + "/#top"},
		{"?a=1", root + "/?a=1"},
		{"//cdn.example.org/x", "https://cdn.example.org/x"},
		{"a b:c", root + "/a%20b:c"},
		{"block-v1:edX+DemoX+Demo+type@video+block@v", root + "/block-v1:edX+DemoX+Demo+type@video+block@v"},
		{"urn:uuid:985a3eca-a2e6-5d47-9b6b-4230020b3bb1", "urn:uuid:985a3eca-a2e6-5d47-9b6b-4230020b3bb1"},
		{"mailto:ada@example.org", "mailto:ada@example.org"},
		{"_:score", "_:score"},
		{"1:2", root + "/1:2"},
	} {
		raw, err := json.Marshal(c.in)
		assert.NoError(t, err)
		got, reason := absoluteIRI(gjson.ParseBytes(raw), root)
		assert.Empty(t, reason)
		assert.Equal(t, c.want, got, "%q", c.in)
	}
	for in, want := range map[string]string{`""`: "an id is empty", `" \t"`: "an id is empty", `5`: "an id is no text", `true`: "an id is no text"} {
		_, got := absoluteIRI(gjson.Parse(in), root)
		assert.Equal(t, want, got, in)
	}
}

func TestConformFunctions(t *testing.T) {
	call := func(name string, args ...string) Value {
		values := make([]Value, len(args))
		for i, a := range args {
			values[i] = JSONValue(a)
		}
		return functionsByName[name].run(NewFrame(nil), values)
	}
	for _, c := range []struct{ name, in, want string }{
		{"with_iris", `{"id":"/a","x":[{"id":"b c","n":1},"id"],"extensions":{"id":"d e"},"y":{"id":null}}`,
			`{"id":"http://r/a","x":[{"id":"http://r/b%20c","n":1},"id"],"extensions":{"id":"d e"},"y":{"id":null}}`},
		{"with_iris", `[{"id":"/a"},{}]`, `[{"id":"http://r/a"},{}]`},
		{"with_iris", `"/a"`, `"/a"`},
		{"with_iris", `null`, `null`},
		{"without_nul", `{"a":"x\u0000y","b\u0000":["\\u0000","\\\u0000\"",1]}`, `{"a":"xy","b":["\\u0000","\\\"",1]}`},
		{"without_nul", `"a\u0000"`, `"a"`},
		{"without_nul", `{"a": "b"}`, `{"a": "b"}`},
		{"without_nul", `7`, `7`},
		{"mailto", `"ada@example.org"`, `"mailto:ada@example.org"`},
		{"mailto", `"a+b_c-d.e'f@x.example.org"`, `"mailto:a+b_c-d.e'f@x.example.org"`},
		{"mailto", `"søren b%@example.org"`, `"mailto:s%C3%B8ren%20b%25@example.org"`},
		{"mailto", `null`, `null`},
	} {
		args := []string{c.in}
		if c.name == "with_iris" {
			args = append(args, `"http://r"`)
		}
		v := call(c.name, args...)
		assert.Nil(t, v.Failure(), c.in)
		assert.Equal(t, c.want, v.JSON(), "%s %s", c.name, c.in)
	}
	for _, address := range []string{`""`, `"ada"`, `"@example.org"`, `"ada@"`, `"ada@local"`, `"ada@ex ample.org"`, `"ada@münchen.de"`, `"ada@x.o1"`, `7`} {
		assert.NotNil(t, call("mailto", address).Failure(), address)
	}
	assert.NotNil(t, call("with_iris", `{"a":[{"id":" "}]}`, `"http://r"`).Failure())
	assert.NotNil(t, call("with_iris", `{"id":"a"}`, `null`).Failure())
}

func FuzzIRI(f *testing.F) {
	for _, s := range []string{"http://x/a b", "/é%", "//[::1]/#a#", "\ufffd\x00", "a:b", "_:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		raw := string(AppendString(nil, s))
		iri, reason := absoluteIRI(gjson.Parse(raw), "https://lms.example.org")
		if reason != "" || strings.HasPrefix(iri, "_:") {
			return
		}
		assert.Positive(t, schemeLength(iri), "%q", iri)
		for _, r := range iri {
			assert.True(t, isIRIRune(r) || strings.ContainsRune("#%[]", r), "%q has %q", iri, r)
		}
		again, _ := absoluteIRI(gjson.Parse(string(AppendString(nil, iri))), "https://lms.example.org")
		assert.Equal(t, iri, again, "a second time changes nothing")
		if u, err := url.Parse(iri); err == nil {
			assert.True(t, u.IsAbs())
		}
		clean := string(appendWithoutNUL(nil, raw))
		assert.True(t, json.Valid([]byte(clean)), "%q", clean)
	})
}
