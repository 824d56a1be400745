package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/deliver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, opt Options) (*Sink, string) {
	t.Helper()
	s, err := New(opt)
	require.NoError(t, err)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv.URL
}

func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func statement(n int, text string) string {
	return fmt.Sprintf(`{"id":"%s","actor":{"name":"a"},"verb":{"id":"v"},"object":{"id":"%s"}}`, id(n), text)
}

func envelope(events ...string) string {
	return `{"sensor":"s","sendTime":"t","dataVersion":"v","data":[` + strings.Join(events, ",") + `]}`
}

// post returns status, body and headers; 0 where the connection was closed.
func post(t *testing.T, url, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Experience-API-Version", "1.0.3")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.TrimSpace(string(b)), resp.Header
}

func TestStatements(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	s, url := serve(t, Options{Observe: func(st Statement) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(st.Backend, " ", st.ID, " ", st.Duplicate))
	}})
	url += "/xAPI/statements"
	tests := []struct {
		name, body string
		status     int
		answer     string
	}{
		{"one", statement(1, "x"), 200, `["` + id(1) + `"]`},
		{"list", "[" + statement(2, "x") + "," + statement(3, "x") + "]", 200, `["` + id(2) + `","` + id(3) + `"]`},
		{"the same", " " + strings.Replace(statement(1, "x"), ":", " : ", 3), 200, `["` + id(1) + `"]`},
		{"other content", statement(1, "y"), 409, "a statement with that id and other content is here already"},
		{"other content in a list", "[" + statement(4, "x") + "," + statement(1, "y") + "]", 409, "a statement with that id and other content is here already"},
		{"none of it was taken", statement(4, "x"), 200, `["` + id(4) + `"]`},
		{"empty list", "[]", 200, "[]"},
		{"twice in a list", "[" + statement(5, "x") + "," + statement(5, "x") + "]", 400, "statement 2 has the id of another one in the request"},
		{"no verb", `{"actor":{},"object":{}}`, 400, "statement 1 lacks actor, verb or object"},
		{"no uuid", strings.Replace(statement(1, "x"), id(1), "x", 1), 400, "the id of statement 1 is no UUID"},
		{"no object", "[1]", 400, "statement 1 is no JSON object"},
		{"no json", "[", 400, "the body is no JSON"},
	}
	for _, tt := range tests {
		status, answer, _ := post(t, url, tt.body)
		assert.Equal(t, tt.status, status, tt.name)
		assert.Equal(t, tt.answer, answer, tt.name)
	}
	status, _, _ := post(t, url, statement(9, "x"), "X-Experience-API-Version", "")
	assert.Equal(t, 400, status)
	_, answer, _ := post(t, url, `{"actor":{},"verb":{},"object":{}}`)
	var ids []string
	require.NoError(t, json.Unmarshal([]byte(answer), &ids))
	require.Len(t, ids, 1)
	require.NoError(t, uuid.Validate(ids[0]))

	want := Counts{Requests: 14, Statements: 6, Unique: 5, Duplicates: 1, ByStatus: map[string]int64{"200": 6, "400": 6, "409": 2}}
	assert.Equal(t, want, s.Counts())
	assert.Len(t, seen, 6)
	assert.Equal(t, "xapi "+id(1)+" true", seen[3])

	resp, err := http.Get(strings.TrimSuffix(url, "/xAPI/statements") + "/counts")
	require.NoError(t, err)
	defer resp.Body.Close()
	var got Counts
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
	assert.Equal(t, want, got)
}

func TestEnvelopes(t *testing.T) {
	s, url := serve(t, Options{})
	for body, want := range map[string]int{
		envelope(`{"id":"urn:uuid:1","type":"Event"}`, `{"id":"urn:uuid:2","type":"Event"}`): 200,
		envelope():                               200,
		envelope(`{"id":"","type":"x"}`):         400,
		`{"sensor":"s","data":[]}`:               400,
		`[]`:                                     400,
		strings.Replace(envelope(), "[", "{", 1): 400,
	} {
		status, _, _ := post(t, url+"/caliper", body)
		assert.Equal(t, want, status, body)
	}
	assert.EqualValues(t, 2, s.Counts().Unique)
}

func TestOtherMethods(t *testing.T) {
	_, url := serve(t, Options{})
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/xAPI/about", 200}, {"HEAD", "/xAPI/about", 200}, {"GET", "/xAPI/statements", 405},
		{"OPTIONS", "/caliper", 204}, {"GET", "/caliper", 405}, {"PUT", "/counts", 405},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, tt.status, resp.StatusCode, tt)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestFailures(t *testing.T) {
	rule := func(s string) Rule {
		r, err := ParseRule(s)
		require.NoError(t, err)
		return r
	}
	tests := []struct {
		name   string
		opt    Options
		want   []int // of four statements, the last one the first again
		counts string
	}{
		{"all", Options{Fail: 500}, []int{500, 500, 500, 500}, `{"requests":4,"statements":0,"unique":0,"duplicates":0,"by_status":{"500":4}}`},
		{"first", Options{First: 2}, []int{503, 503, 200, 200}, `{"requests":4,"statements":2,"unique":2,"duplicates":0,"by_status":{"200":2,"503":2}}`},
		{"first with status", Options{First: 1, Fail: 429}, []int{429, 200, 200, 200}, `{"requests":4,"statements":3,"unique":3,"duplicates":0,"by_status":{"200":3,"429":1}}`},
		{"rate", Options{Rate: 0.5, Seed: 3}, []int{503, 503, 200, 503}, ""},
		{"always", Options{Rate: 1}, []int{503, 503, 503, 503}, ""},
		{"cut", Options{Cut: CutBefore}, []int{0, 0, 0, 0}, `{"requests":4,"statements":0,"unique":0,"duplicates":0,"by_status":{"cut":4}}`},
		{"cut after", Options{Cut: CutAfter, First: 1}, []int{0, 200, 200, 200}, `{"requests":4,"statements":4,"unique":3,"duplicates":1,"by_status":{"200":3,"cut":1}}`},
		{"known", Options{RefuseKnown: true}, []int{200, 200, 200, 409}, `{"requests":4,"statements":3,"unique":3,"duplicates":0,"by_status":{"200":3,"409":1}}`},
		{"rules", Options{Rules: []Rule{rule(`"id":"tw=o"=400`), rule("three=204")}}, []int{200, 400, 204, 200}, ""},
		{"forgetful", Options{Remember: 1, RefuseKnown: true}, []int{200, 200, 200, 200}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, url := serve(t, tt.opt)
			var got []int
			for n, text := range []string{"one", "tw=o", "three", "one"} {
				status, _, _ := post(t, url+"/statements", statement(n%3, text))
				got = append(got, status)
			}
			if tt.name != "rate" {
				assert.Equal(t, tt.want, got)
			} else { // the same seed gives the same failures
				again, url := serve(t, tt.opt)
				for n, text := range []string{"one", "tw=o", "three", "one"} {
					status, _, _ := post(t, url+"/statements", statement(n%3, text))
					assert.Equal(t, got[n], status)
				}
				assert.Equal(t, s.Counts(), again.Counts())
			}
			if tt.counts != "" {
				b, err := json.Marshal(s.Counts())
				require.NoError(t, err)
				assert.JSONEq(t, tt.counts, string(b))
			}
		})
	}
	_, url := serve(t, Options{Fail: 429, RetryAfter: 1500 * time.Millisecond, Delay: time.Millisecond})
	_, _, header := post(t, url+"/statements", statement(1, "x"))
	assert.Equal(t, "2", header.Get("Retry-After"))
}

func TestBodies(t *testing.T) {
	_, url := serve(t, Options{MaxBody: 1000})
	url += "/statements"
	status, _, _ := post(t, url, strings.Repeat(" ", 1001))
	assert.Equal(t, 413, status)
	var zipped bytes.Buffer
	zip(t, &zipped, statement(1, "x"))
	status, _, _ = post(t, url, zipped.String(), "Content-Encoding", "gzip")
	assert.Equal(t, 200, status)
	zipped.Reset()
	zip(t, &zipped, strings.Repeat(" ", 100_000))
	status, _, _ = post(t, url, zipped.String(), "Content-Encoding", "gzip")
	assert.Equal(t, 413, status)
	status, _, _ = post(t, url, "x", "Content-Encoding", "gzip")
	assert.Equal(t, 400, status)
	status, _, _ = post(t, url, "x", "Content-Encoding", "br")
	assert.Equal(t, 415, status)
}

// TestDelivery lets the daemon's own client post.
func TestDelivery(t *testing.T) {
	s, url := serve(t, Options{User: "key", Password: "secret", RefuseKnown: true})
	for _, format := range []deliver.Format{deliver.XAPI, deliver.Caliper} {
		c, err := deliver.New(deliver.Config{Format: format, URL: url, Gzip: true, Auth: deliver.Auth{Scheme: deliver.Basic, Username: "key", Password: "secret"}})
		require.NoError(t, err)
		n := int(format) * 10
		items := []deliver.Item{}
		for i := range 5 {
			doc := statement(n+i, "x")
			if format == deliver.Caliper {
				doc = `{"id":"urn:uuid:` + id(n+i) + `","type":"Event"}`
			}
			items = append(items, deliver.Item{ID: id(n + i), JSON: []byte(doc)})
		}
		for i, o := range c.Send(t.Context(), items[:1]) {
			assert.Equal(t, deliver.Delivered, o.Kind, "%d %s", i, o)
		}
		for i, o := range c.Send(t.Context(), items) {
			assert.True(t, o.Done(), "%d %s", i, o)
			assert.Equal(t, i == 0, o.Kind == deliver.Duplicate)
		}
		c.Close()
	}
	assert.EqualValues(t, 10, s.Counts().Unique)
	status, _, _ := post(t, url+"/statements", statement(1, "x"))
	assert.Equal(t, 401, status)
	assert.EqualValues(t, 1, s.Counts().ByStatus["401"])
}

func TestOptions(t *testing.T) {
	for name, opt := range map[string]Options{
		"status": {Fail: 99}, "rate": {Rate: 1.5}, "first": {First: -1}, "delay": {Delay: -1}, "body": {MaxBody: -1},
	} {
		_, err := New(opt)
		require.ErrorIs(t, err, ErrOptions, name)
	}
	for _, s := range []string{"x", "x=y", "x=700", "(=400"} {
		_, err := ParseRule(s)
		require.ErrorIs(t, err, ErrOptions, s)
	}
	for s, want := range map[string]Cut{"": CutNever, "before": CutBefore, "after": CutAfter} {
		got, err := ParseCut(s)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := ParseCut("later")
	require.ErrorIs(t, err, ErrOptions)
}

func FuzzServe(f *testing.F) {
	f.Add([]byte(statement(1, "x")), true)
	f.Add([]byte(envelope(`{"id":"a","type":"b"}`)), false)
	s, err := New(Options{Remember: 10})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte, xapi bool) {
		path := "/x"
		if xapi {
			path = "/statements"
		}
		req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		req.Header.Set("X-Experience-API-Version", "1.0.3")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		assert.Contains(t, []int{200, 400, 409}, w.Code)
	})
}

func zip(t *testing.T, w io.Writer, text string) {
	t.Helper()
	z := gzip.NewWriter(w)
	_, err := io.WriteString(z, text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
}
