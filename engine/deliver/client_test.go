package deliver

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a record store that refuses what its rule says and remembers what it took.
type store struct {
	*httptest.Server
	mu       sync.Mutex
	requests []int    // items per request
	paths    []string // path and headers of interest
	headers  []http.Header
	bodies   []string
	taken    map[string]int
}

// newStore answers each request with what rule returns for the ids in it.
func newStore(t *testing.T, rule func(ids []string, w http.ResponseWriter) int) *store {
	t.Helper()
	s := &store{taken: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return // a ping
		}
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				http.Error(w, "no gzip", 400)
				return
			}
			body = z
		}
		b, _ := io.ReadAll(body)
		ids, err := idsOf(b)
		if err != nil {
			http.Error(w, "no JSON", 400)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, len(ids))
		s.paths = append(s.paths, r.Method+" "+r.URL.Path)
		s.headers = append(s.headers, r.Header.Clone())
		s.bodies = append(s.bodies, string(b))
		status := rule(ids, w)
		if status == 200 {
			for _, id := range ids {
				s.taken[id]++
			}
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "answer %d", status)
	}))
	t.Cleanup(s.Close)
	return s
}

func idsOf(b []byte) ([]string, error) {
	type st struct{ ID string }
	var env struct{ Data []st }
	var list []st
	switch {
	case b[0] == '[':
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, err
		}
	default:
		if err := json.Unmarshal(b, &env); err != nil {
			return nil, err
		}
		list = env.Data
		if list == nil {
			var one st
			if err := json.Unmarshal(b, &one); err != nil {
				return nil, err
			}
			list = []st{one}
		}
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids, nil
}

func always(status int) func([]string, http.ResponseWriter) int {
	return func([]string, http.ResponseWriter) int { return status }
}

func items(ids ...string) []Item {
	out := make([]Item, len(ids))
	for i, id := range ids {
		out[i] = Item{ID: id, JSON: fmt.Appendf(nil, `{"id":%q}`, id)}
	}
	return out
}

func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("s%03d", i)
	}
	return ids
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.Format == 0 {
		cfg.Format = XAPI
	}
	c, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func kinds(out []Outcome) []Kind {
	k := make([]Kind, len(out))
	for i := range out {
		k[i] = out[i].Kind
	}
	return k
}

func TestSendXAPI(t *testing.T) {
	s := newStore(t, always(200))
	c := client(t, Config{URL: s.URL + "/xAPI/", Auth: Auth{Scheme: Basic, Username: "key", Password: "secret"}, Headers: map[string]string{"X-Test": "header"}})
	out := c.Send(t.Context(), items("a"))
	assert.Equal(t, []Kind{Delivered}, kinds(out))
	out = c.Send(t.Context(), items("b", "c"))
	assert.Equal(t, []Kind{Delivered, Delivered}, kinds(out))
	assert.Equal(t, []string{`{"id":"a"}`, `[{"id":"b"},{"id":"c"}]`}, s.bodies)
	assert.Equal(t, []string{"POST /xAPI/statements", "POST /xAPI/statements"}, s.paths)
	h := s.headers[0]
	assert.Equal(t, "1.0.3", h.Get("X-Experience-API-Version"))
	assert.Equal(t, "application/json", h.Get("Content-Type"))
	assert.Equal(t, "header", h.Get("X-Test"))
	assert.Equal(t, "Basic a2V5OnNlY3JldA==", h.Get("Authorization"))
	assert.Empty(t, c.Send(t.Context(), nil))
}

func TestSendCaliper(t *testing.T) {
	s := newStore(t, always(201))
	c := client(t, Config{Format: Caliper, URL: s.URL + "/events", SensorID: "https://example.com/s", Gzip: true,
		Auth:     Auth{Scheme: Bearer, Token: "tok"},
		Override: func(b []byte) ([]byte, error) { return append(b[:len(b)-1], `,"sensor_id":"x@example.com"}`...), nil }})
	out := c.Send(t.Context(), items("a", "b"))
	assert.Equal(t, []Kind{Delivered, Delivered}, kinds(out))
	require.Len(t, s.bodies, 1)
	assert.Equal(t, "POST /events", s.paths[0])
	assert.Equal(t, "Bearer tok", s.headers[0].Get("Authorization"))
	assert.Equal(t, "gzip", s.headers[0].Get("Content-Encoding"))
	assert.Empty(t, s.headers[0].Get("X-Experience-API-Version"))
	assert.Regexp(t, `^\{"sensor":"https://example.com/s","sendTime":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","data":\[\{"id":"a"\},\{"id":"b"\}\],"dataVersion":"http://purl.imsglobal.org/ctx/caliper/v1p2","sensor_id":"x@example.com"\}$`, s.bodies[0])
}

func TestEnvelopeKeepsWhatOverrideSets(t *testing.T) {
	e, err := NewEnvelope("s", func([]byte) ([]byte, error) { return []byte(`{"data":[],"sendTime":"then","sensor":{"a":1}}`), nil })
	require.NoError(t, err)
	assert.Equal(t, `{"data":[{"id":"a"}],"sendTime":"then","sensor":{"a":1}}`, string(e.Append(nil, items("a"), time.Now())))
	for _, text := range []string{`{"data":[1]}`, `{}`, `[]`, `{"data":[]`} {
		_, err := NewEnvelope("s", func([]byte) ([]byte, error) { return []byte(text), nil })
		assert.ErrorIs(t, err, ErrConfig, text)
	}
}

func TestSendIsolatesCulprits(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		n        int
		bad      []string
		want     Kind
		requests int // at most
	}{
		{"one poisoned of a hundred", 400, 100, []string{"s042"}, Permanent, 15},
		{"first and last", 422, 64, []string{"s000", "s063"}, Permanent, 24},
		{"known statement", 409, 50, []string{"s010"}, Duplicate, 13},
		{"too large alone", 413, 7, []string{"s003"}, Permanent, 7},
		{"all of them", 400, 8, numbered(8), Permanent, 15},
		{"single", 400, 1, []string{"s000"}, Permanent, 1},
		{"single known", 409, 1, []string{"s000"}, Duplicate, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := map[string]bool{}
			for _, id := range tt.bad {
				bad[id] = true
			}
			s := newStore(t, func(ids []string, _ http.ResponseWriter) int {
				for _, id := range ids {
					if bad[id] {
						return tt.status
					}
				}
				return 200
			})
			ids := numbered(tt.n)
			out := client(t, Config{URL: s.URL}).Send(t.Context(), items(ids...))
			for i, id := range ids {
				if bad[id] {
					assert.Equal(t, tt.want, out[i].Kind, id)
					assert.Equal(t, tt.status, out[i].Status)
				} else {
					assert.Equal(t, Delivered, out[i].Kind, id)
					assert.Equal(t, 1, s.taken[id], id)
				}
			}
			assert.LessOrEqual(t, len(s.requests), tt.requests, "requests %v", s.requests)
		})
	}
}

func TestSendSizeLimitSplits(t *testing.T) {
	s := newStore(t, func(ids []string, _ http.ResponseWriter) int {
		if len(ids) > 10 {
			return 413
		}
		return 200
	})
	out := client(t, Config{URL: s.URL}).Send(t.Context(), items(numbered(64)...))
	for i := range out {
		assert.Equal(t, Delivered, out[i].Kind)
	}
	assert.Len(t, s.taken, 64)
}

func TestSendDuplicatesOnce(t *testing.T) {
	s := newStore(t, always(200))
	out := client(t, Config{URL: s.URL}).Send(t.Context(), items("a", "b", "a", "", "", "a"))
	assert.Equal(t, []Kind{Delivered, Delivered, Duplicate, Delivered, Delivered, Duplicate}, kinds(out))
	assert.Equal(t, []int{4}, s.requests)

	s = newStore(t, always(500))
	out = client(t, Config{URL: s.URL}).Send(t.Context(), items("a", "a"))
	assert.Equal(t, []Kind{Transient, Transient}, kinds(out))
}

func TestClassification(t *testing.T) {
	tests := []struct {
		status int
		want   Kind
		text   string
	}{
		{200, Delivered, ""}, {204, Delivered, ""},
		{301, Pause, "redirects to"}, {307, Pause, "redirects to"}, {304, Pause, "redirects to an unreadable address"},
		{401, Pause, "check the router's auth"}, {403, Pause, "check the router's auth"}, {404, Pause, "check the path"},
		{408, Transient, "answers 408"}, {429, Transient, "answers 429"}, {500, Transient, "answers 500"}, {503, Transient, "answers 503"},
		{402, Permanent, "refuses it with 402"}, {410, Permanent, "refuses it with 410"}, {418, Permanent, "refuses it with 418"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			s := newStore(t, func(_ []string, w http.ResponseWriter) int {
				if tt.status == 301 || tt.status == 307 {
					w.Header().Set("Location", "https://elsewhere.example/x?key=private")
				}
				return tt.status
			})
			out := client(t, Config{URL: s.URL, Auth: Auth{Scheme: Bearer, Token: "tok"}}).Send(t.Context(), items("a", "b"))
			assert.Equal(t, []Kind{tt.want, tt.want}, kinds(out))
			assert.Len(t, s.requests, 1, "neither split nor followed")
			if tt.text == "" {
				assert.NoError(t, out[0].Err)
				return
			}
			assert.ErrorContains(t, out[0].Err, tt.text)
			assert.NotContains(t, out[0].Err.Error(), "private")
		})
	}
}

func TestRestIsNotSentAfterAPause(t *testing.T) {
	n := 0
	s := newStore(t, func([]string, http.ResponseWriter) int {
		n++
		return []int{400, 200, 503}[min(n-1, 2)]
	})
	out := client(t, Config{URL: s.URL}).Send(t.Context(), items(numbered(20)...))
	for i := range out {
		assert.Equal(t, []Kind{Delivered, Transient}[i/10], out[i].Kind, i)
	}
	assert.Equal(t, []int{20, 10, 10}, s.requests)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "1e3": 0,
		"99999999": MaxRetryAfter, "99999999999999999999999": MaxRetryAfter,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:04:04 GMT": 0,
		"Fri, 02 Jan 2126 03:04:04 GMT": MaxRetryAfter,
	} {
		assert.Equal(t, want, retryAfter(v, now), v)
	}
	s := newStore(t, func(_ []string, w http.ResponseWriter) int {
		w.Header().Set("Retry-After", "12")
		return 429
	})
	assert.Equal(t, 12*time.Second, client(t, Config{URL: s.URL}).Send(t.Context(), items("a"))[0].After)
}

func TestEndpointDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	out := client(t, Config{URL: "http://" + addr + "/x?key=private"}).Send(t.Context(), items("a", "b"))
	assert.Equal(t, []Kind{Pause, Pause}, kinds(out))
	assert.Equal(t, "unreachable", out[0].Reason)
	assert.ErrorContains(t, out[0].Err, addr+" cannot be reached")
	assert.NotContains(t, out[0].Err.Error(), "private")

	out = client(t, Config{URL: "http://no-such-host.invalid"}).Send(t.Context(), items("a"))
	assert.Equal(t, Pause, out[0].Kind)

	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = nil
	tls.StartTLS()
	defer tls.Close()
	out = client(t, Config{URL: tls.URL}).Send(t.Context(), items("a"))
	assert.Equal(t, "tls", out[0].Reason)
	assert.Equal(t, Pause, out[0].Kind)
}

func TestBrokenAndSlow(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
	}))
	defer broken.Close()
	out := client(t, Config{URL: broken.URL}).Send(t.Context(), items("a"))
	assert.Equal(t, Transient, out[0].Kind)
	assert.Equal(t, "broken", out[0].Reason)

	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(release)
	out = client(t, Config{URL: slow.URL, Timeout: 50 * time.Millisecond}).Send(t.Context(), items("a"))
	assert.Equal(t, Transient, out[0].Kind)
	assert.Equal(t, "timeout", out[0].Reason)

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	out = client(t, Config{URL: slow.URL}).Send(ctx, items("a", "b"))
	assert.Equal(t, []Kind{Aborted, Aborted}, kinds(out))
	assert.ErrorIs(t, out[0].Err, context.Canceled)
}

func TestAnswerIsBoundedAndScrubbed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, "no\r\n\x00 %s and hunter2secret %s %s %s", r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.URL.RawQuery, strings.Repeat("é", 1<<20))
	}))
	defer s.Close()
	out := client(t, Config{URL: s.URL + "?key=hunter2%20query", Auth: Auth{Scheme: Basic, Username: "u", Password: "hunter2secret"}, Headers: map[string]string{"X-Api-Key": "hunter2header"}}).Send(t.Context(), items("a"))
	assert.LessOrEqual(t, len(out[0].Answer), MaxAnswer)
	assert.True(t, strings.HasPrefix(out[0].Answer, "no Basic [redacted] and [redacted] [redacted] key=[redacted] éé"), out[0].Answer)
	assert.True(t, strings.HasSuffix(out[0].Answer, "é…"))
	assert.NotContains(t, out[0].Err.Error(), "éé", "errors carry no part of the answer")
}

func TestGzipIsGivenUpOn415(t *testing.T) {
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Content-Encoding"))
		if r.Header.Get("Content-Encoding") != "" {
			w.WriteHeader(415)
		}
	}))
	defer s.Close()
	c := client(t, Config{URL: s.URL, Gzip: true})
	assert.Equal(t, Delivered, c.Send(t.Context(), items("a"))[0].Kind)
	assert.Equal(t, Delivered, c.Send(t.Context(), items("b"))[0].Kind)
	assert.Equal(t, []string{"gzip", "", ""}, seen)
}

func TestConnectionIsKeptAlive(t *testing.T) {
	var mu sync.Mutex
	conns := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		_, _ = w.Write(make([]byte, 10<<10))
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			mu.Lock()
			conns++
			mu.Unlock()
		}
	}
	s.Start()
	defer s.Close()
	c := client(t, Config{URL: s.URL})
	for range 5 {
		c.Send(t.Context(), items("a"))
	}
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, 1, conns)
}

func TestNewRefuses(t *testing.T) {
	ok := Config{Format: XAPI, URL: "http://example.com/xAPI"}
	tests := []struct {
		name string
		edit func(*Config)
		text string
	}{
		{"format", func(c *Config) { c.Format = 0 }, "unknown format"},
		{"no url", func(c *Config) { c.URL = "" }, "needs http or https"},
		{"scheme", func(c *Config) { c.URL = "ftp://example.com" }, "needs http or https"},
		{"bad url", func(c *Config) { c.URL = "http://u:hunter2@exa mple.com/%zz" }, "cannot be read"},
		{"port", func(c *Config) { c.URL = "http://example.com:99999/" }, "none of 1 to 65535"},
		{"port zero", func(c *Config) { c.URL = "http://example.com:0/" }, "none of 1 to 65535"},
		{"user in url", func(c *Config) { c.URL = "http://u:hunter2@example.com/" }, "move them to auth"},
		{"basic", func(c *Config) { c.Auth = Auth{Scheme: Basic} }, "needs username"},
		{"colon", func(c *Config) { c.Auth = Auth{Scheme: Basic, Username: "a:b"} }, "colon"},
		{"bearer", func(c *Config) { c.Auth = Auth{Scheme: Bearer} }, "needs a token"},
		{"bearer line", func(c *Config) { c.Auth = Auth{Scheme: Bearer, Token: "hunter2\n"} }, "cannot carry"},
		{"scheme number", func(c *Config) { c.Auth = Auth{Scheme: 9} }, "unknown auth scheme"},
		{"header name", func(c *Config) { c.Headers = map[string]string{"a b": "x"} }, "not the name"},
		{"header value", func(c *Config) { c.Headers = map[string]string{"A": "hunter2\r\nB: c"} }, "cannot carry"},
		{"own header", func(c *Config) { c.Headers = map[string]string{"content-length": "1"} }, "set by erbd itself"},
		{"hop-by-hop header", func(c *Config) { c.Headers = map[string]string{"keep-alive": "1"} }, "set by erbd itself"},
		{"credentials", func(c *Config) { c.Headers = map[string]string{"AUTHORIZATION": "hunter2"} }, "write auth"},
		{"timeout", func(c *Config) { c.Timeout = -1 }, "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := ok
			tt.edit(&cfg)
			_, err := New(cfg)
			require.ErrorIs(t, err, ErrConfig)
			assert.ErrorContains(t, err, tt.text)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"http://h/xAPI":                "http://h/xAPI/statements",
		"http://h/xAPI/":               "http://h/xAPI/statements",
		"http://h":                     "http://h/statements",
		"https://h:1/a/statements":     "https://h:1/a/statements",
		"https://h:1/a/statements/":    "https://h:1/a/statements/",
		"https://h/x?organisation=1#f": "https://h/x/statements?organisation=1",
	} {
		u, err := endpoint(XAPI, in)
		require.NoError(t, err)
		assert.Equal(t, want, u.String())
	}
	u, err := endpoint(Caliper, "https://h/x?y=1")
	require.NoError(t, err)
	assert.Equal(t, "https://h/x?y=1", u.String())
}

func TestAuthNeverShows(t *testing.T) {
	a := Auth{Scheme: Basic, Username: "name", Password: "hunter2"}
	j, err := json.Marshal(map[string]any{"a": a, "p": &a})
	require.NoError(t, err)
	for _, s := range []string{fmt.Sprint(a), fmt.Sprintf("%v %+v %#v %s %q %x", a, a, a, a, a, a), fmt.Sprintf("%+v", Config{Auth: a}), string(j), a.LogValue().String()} {
		assert.NotContains(t, s, "hunter2")
		assert.NotContains(t, s, "name")
		assert.Contains(t, s, "[redacted]")
	}
	for name, want := range map[string]Scheme{"": None, "NONE": None, "Basic": Basic, "BEARER": Bearer} {
		got, err := ParseScheme(name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, want, func() Scheme { s, _ := ParseScheme(got.String()); return s }())
	}
	_, err = ParseScheme("digest")
	assert.ErrorIs(t, err, ErrConfig)
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("bad \xff\x00 password"))
	c, err := New(Config{Format: XAPI, URL: "http://h", Auth: Auth{Scheme: Bearer, Token: "password"}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := c.excerpt(b)
		assert.LessOrEqual(t, len(s), MaxAnswer)
		assert.NotContains(t, s, "password")
		assert.True(t, utf8.ValidString(s))
	})
}
