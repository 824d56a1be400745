package daemon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The samples of router configurations that operators of the plugin have, as they stand.
const (
	sampleCaliper = `{
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
	sampleXAPI = `{
   "match_params":{
       "enterprise_uuid":"org_XYZ",
       "name":[
           "edx.course.grade.passed.first_time",
           "edx.course.enrollment.activated"
       ]
   }
}`
)

// sampled is a router with a configuration of the plugin.
func sampled(name, url, configuration string) string {
	return fmt.Sprintf(`{"name": %q, "url": %q, %s`, name, url, strings.TrimPrefix(configuration, "{"))
}

// inCourse moves an event to another course.
func inCourse(event, course string) string {
	return strings.ReplaceAll(event, "course-v1:OpenAcademy+BIO101+2026_T1", course)
}

func TestSampleForCaliper(t *testing.T) {
	t.Parallel()
	store := newEndpoint(t)
	s := newSite(t, "xapi.enabled=false", "caliper.enabled=true")
	s.route("%s", `{"caliper": [`+sampled("analytics", store.URL+"/analytics", sampleCaliper)+`]}`)
	d, _ := s.start()
	const wanted = "course-v1:edX+DemoX+2021_T1"
	publish(t, d,
		inCourse(questions(1), wanted), inCourse(played(2), wanted),
		inCourse(enrollment(3), wanted), // another name
		inCourse(played(4), "course-v1:edX+DemoX+2022_T1"), inCourse(played(5), "course-v1:OpenX+DemoX+2021_T1"),
		`{"name":"problem_check","timestamp":"2026-03-02T12:00:00Z","context":{},"data":{}}`, // no course at all
	)
	st := flowed(t, d, 6)
	// edx.video.position.changed contains video, play_video too; what no router wants is not transformed, so that
	// nothing of it is rejected.
	require.Equal(t, map[string]uint64{transformed: 2, endUnrouted: 4}, st.Backends[0].Ends)
	require.Equal(t, counts{"delivered": 2}, counts(st.router(t, "analytics").Settled))
	got := store.got("analytics")
	require.Len(t, got, 2)
	for _, r := range got {
		var envelope map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(r.body, &envelope))
		require.JSONEq(t, `"sensor@example.com"`, string(envelope["sensor_id"]))
		require.JSONEq(t, `"http://example.com/sensors"`, string(envelope["sensor"]))
		require.JSONEq(t, `"http://purl.imsglobal.org/ctx/caliper/v1p2"`, string(envelope["dataVersion"]))
		require.Equal(t, "header", r.header.Get("test"))
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
		require.Len(t, r.docs, 1)
		require.NotContains(t, string(r.docs[0]), "sensor_id", "the envelope has it, the event has not")
	}
}

func TestSampleForXAPI(t *testing.T) {
	t.Parallel()
	store := newEndpoint(t)
	s := newSite(t)
	s.route("%s", `{"xapi": [`+sampled("enterprise", store.URL+"/enterprise", sampleXAPI)+`]}`)
	d, _ := s.start()
	of := func(event, enterprise string) string {
		return strings.Replace(event, `"context":{`, `"context":{"enterprise_uuid":"`+enterprise+`",`, 1)
	}
	passed := strings.Replace(enrollment(2), "edx.course.enrollment.activated", "edx.course.grade.passed.first_time", 1)
	publish(t, d, of(enrollment(1), "org_XYZ"), of(passed, "org_XYZ"), of(played(3), "org_XYZ"), of(enrollment(4), "org_ABC"), enrollment(5))
	st := flowed(t, d, 5)
	require.Equal(t, map[string]uint64{transformed: 2, endUnrouted: 3}, st.Backends[0].Ends)
	require.Equal(t, counts{"delivered": 2}, counts(st.router(t, "enterprise").Settled))
	require.Equal(t, 2, store.unique("enterprise"))
}

// override_args of xAPI change root keys of every statement of their own router, and of no other.
func TestOverrideStatements(t *testing.T) {
	t.Parallel()
	store := newEndpoint(t)
	s := newSite(t)
	s.route(`{"xapi": [
		{"name": "changed", "url": "%[1]s/changed", "headers": {"X-Tenant": "north"}, "override_args": {"version": "1.0.0", "authority": {"mbox": "mailto:lrs@example.com"}, "a.b": [1]}},
		{"name": "plain", "url": "%[1]s/plain"}]}`, store.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1), questions(2))
	st := flowed(t, d, 2)
	for _, name := range []string{"changed", "plain"} {
		require.Equal(t, counts{"delivered": 2}, counts(st.router(t, name).Settled), name)
		n := 0
		for _, r := range store.got(name) {
			require.Equal(t, "1.0.3", r.header.Get("X-Experience-API-Version"))
			for _, doc := range r.docs {
				n++
				var statement map[string]json.RawMessage
				require.NoError(t, json.Unmarshal(doc, &statement))
				if name == "plain" {
					require.JSONEq(t, `"1.0.3"`, string(statement["version"]))
					require.NotContains(t, statement, "authority")
					continue
				}
				require.Equal(t, "north", r.header.Get("X-Tenant"))
				require.JSONEq(t, `"1.0.0"`, string(statement["version"]))
				require.JSONEq(t, `{"mbox": "mailto:lrs@example.com"}`, string(statement["authority"]))
				require.JSONEq(t, `[1]`, string(statement["a.b"]))
			}
		}
		require.Equal(t, 4, n, name)
	}
	require.Equal(t, store.taken["plain"], store.taken["changed"], "the ids are the same")
}

// A batch of Caliper events shares one envelope.
func TestCaliperBatchSharesEnvelope(t *testing.T) {
	t.Parallel()
	store := newEndpoint(t)
	s := newSite(t, "caliper.enabled=true", "caliper.sensor_id=http://lms.example.com/sensors/1")
	s.route(`{"caliper": [{"name": "c", "url": "%s/c", "batch": {"enabled": true, "size": 4, "interval": 0.3}}]}`, store.URL)
	d, _ := s.start()
	before := time.Now().Add(-time.Second)
	publish(t, d, array(played(1), played(2), played(3), played(4), played(5), played(6)))
	st := flowed(t, d, 6)
	require.Equal(t, counts{"delivered": 6}, counts(st.router(t, "c").Settled))
	require.Equal(t, map[string]uint64{endUnrouted: 6}, st.Backends[0].Ends, "xAPI has no router")
	got := store.got("c")
	require.Len(t, got, 2)
	require.Equal(t, 6, len(got[0].docs)+len(got[1].docs))
	require.Equal(t, 4, max(len(got[0].docs), len(got[1].docs)))
	for _, r := range got {
		var envelope struct {
			Sensor      string
			SendTime    time.Time
			DataVersion string
		}
		require.NoError(t, json.Unmarshal(r.body, &envelope))
		require.Equal(t, "http://lms.example.com/sensors/1", envelope.Sensor)
		require.False(t, envelope.SendTime.Before(before))
		require.NotEmpty(t, envelope.DataVersion)
	}
}
