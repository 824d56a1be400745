package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/erbd/erbd/engine/cli"
)

// personal marks what belongs to a person: no log, metric or status may have it.
const personal = "zqpersonal"

// mark returns a JSON value with the mark in all its texts, numbers and keys, as far as the switches say. The key name
// of the root is left, so that the event finds its mapping.
func mark(v any, texts, numbers, keys bool, root bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if root && (k == "name" || k == "event_type") {
				out[k] = x
				continue
			}
			if keys && !root && k != "course_id" {
				out[k+personal] = x
			}
			out[k] = mark(x, texts, numbers, keys, false)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = mark(x, texts, numbers, keys, false)
		}
		return out
	case string:
		if texts {
			return v + personal
		}
	case int, float64:
		if numbers {
			return fmt.Sprint(v) + personal
		}
	}
	return v
}

// markedEvents are events of golden cases, as they are but for the marks: in free texts only, in what the
// mappings compute with, in keys.
func markedEvents(t *testing.T) (lines []string) {
	t.Helper()
	cases, err := filepath.Glob("../../golden/*/*/*.yaml")
	require.NoError(t, err)
	for i, file := range cases {
		if i%6 != 0 {
			continue // some of each event are enough, and refused statements take a request each
		}
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		var doc struct {
			Event map[string]any `yaml:"event"`
		}
		if yaml.Unmarshal(src, &doc) != nil || doc.Event == nil {
			continue
		}
		light := mark(doc.Event, false, false, false, true).(map[string]any)
		for _, key := range []string{"context", "data"} {
			if inner, ok := light[key].(map[string]any); ok {
				for _, k := range []string{"username", "ip", "agent", "referer", "email", "body", "title", "query", "answer", "problem_display_name"} {
					inner[k] = personal + "@" + k + ".example"
				}
			}
		}
		for _, event := range []any{light, mark(doc.Event, true, false, false, true), mark(doc.Event, true, true, false, true), mark(doc.Event, false, true, true, true)} {
			line, err := json.Marshal(event)
			if err == nil {
				lines = append(lines, string(line))
			}
		}
	}
	require.Greater(t, len(lines), 200)
	return lines
}

// TestNoPersonalData sends events full of marks through a daemon that maps, rejects, drops and keeps them, with record
// stores that echo what they refuse: above debug nobody sees a mark.
func TestNoPersonalData(t *testing.T) {
	answers := map[string]int{"good": 200, "refuses": 400, "knows": 409, "breaks": 500, "shut": 401, "moved": 307}
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		status := answers[strings.Split(r.URL.Path, "/")[1]]
		w.Header().Set("Location", "https://elsewhere.example/?q="+personal)
		w.Header().Set("X-Echo", personal)
		w.WriteHeader(status)
		w.Write(append([]byte(personal), body...)) //nolint:errcheck // the client went away
	}))
	defer echo.Close()
	s := newServing(t)
	routers := map[string][]map[string]any{}
	for _, backend := range []string{"xapi", "caliper"} {
		for name := range answers {
			routers[backend] = append(routers[backend], map[string]any{
				"name": name, "url": echo.URL + "/" + name, "retry": map[string]any{"max_retries": 1, "countdown": 0.05}, "batch": map[string]any{"enabled": true, "size": 50, "interval": 0.05},
			})
		}
	}
	text, err := json.Marshal(routers)
	require.NoError(t, err)
	s.write("routers.yaml", string(text))
	lms, err := os.ReadFile("../../golden/lms.json")
	require.NoError(t, err)
	s.write("lms.json", strings.ReplaceAll(string(lms), `"email": "`, `"email": "`+personal+"."))
	s.write("erbd.yaml", "nats: {store: data, listen: '127.0.0.1:"+freePort(t)+"', sync_always: false}\nhttp: {listen: '127.0.0.1:"+freePort(t)+"'}\nrouters: routers.yaml\nlookup: {path: lms.json, unknown_users: pseudonym, unknown_courses: course_id}\n"+
		"xapi: {regex: {type: blocklist, expressions: [seek_video]}}\ncaliper: {enabled: true}\nlimits: {event_bytes: 64KiB}\ncritical: [problem_check, play_video, edx.course.enrollment.activated]\n")
	srv, log, stop := s.start()

	lines := markedEvents(t)
	lines = append(lines,
		`{"name":"problem_check"`+personal, `{"event":{"`+personal+`":1}}`, `"`+personal+`"`, `{"name":"`+personal+`","data":{}}`, `{"name":"play_video","data":`+strings.Repeat(`{"`+personal+`":`, 400)+"1"+strings.Repeat("}", 401),
		`{"name":"play_video","timestamp":"`+personal+`","context":{"course_id":"`+personal+`"},"data":{"x":"`+strings.Repeat(personal, 10000)+`"}}`, `{"name":["`+personal+`"]}`, "\xff"+personal)
	s.write("tracking.log", strings.Join(lines, "\n")+"\n")
	config := []string{"--config", s.path("erbd.yaml")}
	command := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := erbd(t.Context(), nil, append(args, config...)...)
		require.Equal(t, cli.ExitFine, code, "%s: %s%s", args, stdout, stderr)
		return stdout + stderr
	}
	code, stdout, stderr := erbd(t.Context(), nil, append([]string{"publish", s.path("tracking.log")}, config...)...)
	seen := map[string]string{"publish": fmt.Sprint(code) + stdout + stderr}

	nc, err := nats.Connect(srv.NATS())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for _, m := range []*nats.Msg{ // what no publisher of events does
		{Subject: "erb.raw.lms", Data: []byte(personal)},
		{Subject: "erb.raw.lms", Data: []byte(personal), Header: nats.Header{"Erb-Format": {personal}, "Erb-Items": {personal}}},
		{Subject: "erb.raw.lms", Data: []byte(`[{"name":"` + personal + `"},"` + personal), Header: nats.Header{personal: {personal}}},
		{Subject: "erb.out.xapi.good", Data: []byte(personal)},
		{Subject: "erb.out.xapi.good", Data: []byte(personal), Header: nats.Header{"Erb-Format": {personal}}},
		{Subject: "erb.out.xapi.good", Data: []byte(`{"name":"` + personal + `"}`), Header: nats.Header{"Erb-Format": {"1"}, "Erb-Items": {personal}}},
	} {
		_, err := js.PublishMsg(t.Context(), m)
		require.NoError(t, err)
	}
	for _, b := range []string{"xapi", "caliper"} {
		s.until("all events have come to an end for "+b, func() bool {
			st := srv.Status(t.Context())
			for _, r := range st.Routers {
				busy := r.Name != "shut" && r.Name != "moved" && (r.Waiting > 0 || r.Open > 0)
				if busy || r.Routed == 0 || r.Name == "shut" && r.Paused == "" || r.Name == "moved" && r.Paused == "" {
					return false
				}
			}
			return st.Backends[0].Waiting == 0 && st.Backends[1].Waiting == 0
		})
	}
	status, err := json.Marshal(srv.Status(t.Context()))
	require.NoError(t, err)
	for _, end := range []string{`"rejected":`, `"invalid":`, `"transformed":`, `"unmapped":`, `"delivered":`, `"dropped":`, `"kept":`, `"duplicate":`, `"unreadable":`} {
		assert.Contains(t, string(status), end, "the events do all that events can do")
	}
	seen["status"], seen["GET /status"], seen["GET /metrics"], seen["GET /readyz"] = string(status), get(t, srv, "/status"), get(t, srv, "/metrics"), get(t, srv, "/readyz")
	seen["erbd status"] = command("status")
	seen["erbd failed list"], seen["as json"] = command("failed", "list"), command("failed", "list", "--output", "json")
	seen["erbd failed bad"], seen["bad as json"] = command("failed", "bad"), command("failed", "bad", "--output", "json")
	stop()
	seen["log"] = log.String()
	for _, message := range []string{"event dropped", "critical event kept", "router paused", "unreadable message kept aside", "delivery failed, will be tried again"} {
		assert.Contains(t, log.String(), message)
	}
	for where, text := range seen {
		for _, line := range strings.Split(text, "\n") {
			if i := strings.Index(strings.ToLower(line), personal); i >= 0 {
				t.Errorf("%s: %.300s", where, line[max(0, i-150):])
				break
			}
		}
	}
}

// TestNoPersonalDataOfLookups: a data base that is down names nobody.
func TestNoPersonalDataOfLookups(t *testing.T) {
	store := newLRS(t)
	s := newServing(t)
	s.write("routers.yaml", fmt.Sprintf(`{"xapi": [{"name": "main", "url": "%s/a"}]}`, store.URL))
	t.Setenv("LMS_PASSWORD", "hunter2-lms")
	s.write("erbd.yaml", "nats: {store: data, listen: '127.0.0.1:0', sync_always: false}\nhttp: {listen: '127.0.0.1:0'}\nrouters: routers.yaml\nlookup: {type: mysql, dsn: 'lms:${env:LMS_PASSWORD}@tcp(127.0.0.1:1)/edxapp', timeout: 1}\n")
	srv, log, stop := s.start()
	nc, err := nats.Connect(srv.NATS())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "erb.raw.lms", []byte(`{"name":"edx.course.enrollment.activated","timestamp":"2026-03-02T10:00:00Z","context":{"course_id":"course-v1:a+b+`+personal+`","username":"`+personal+`"},"data":{"mode":"audit","username":"`+personal+`"}}`))
	require.NoError(t, err)
	s.until("it waits", func() bool {
		st := srv.Status(t.Context())
		return st.Lookups != nil && st.Lookups.Error != "" && strings.Contains(log.String(), "events wait for a look-up that is down")
	})
	seen := get(t, srv, "/status") + get(t, srv, "/metrics") + get(t, srv, "/readyz")
	stop()
	seen += log.String()
	assert.NotContains(t, seen, personal)
	assert.NotContains(t, seen, "hunter2")
}
