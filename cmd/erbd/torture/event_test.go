//go:build unix

package torture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kind is what an event is for.
type kind struct {
	name string
	// weight is how often it comes.
	weight int
	// end is what the transformation makes of it.
	end string
	// critical events are kept when they fail for good.
	critical bool
	// academy is the course's organisation, which the routers ask for, and run its run, which the record stores look at:
	// some they refuse.
	academy, run string
	// text makes the event.
	text func(n int, course string) string
}

// The organisations of the courses.
const (
	open      = "OpenAcademy"  // wanted by the routers of most
	frail     = "FrailAcademy" // wanted by a router with few retries
	elsewhere = "OtherAcademy" // wanted by none
	poisoned  = "poison"       // a run that record stores refuse
	doomed    = "doomed"       // a run that they never get to answer well
	normal    = "2026_T1"      // any other
	activated = "edx.course.enrollment.activated"
)

var kinds = []kind{
	{"video", 30, "transformed", false, open, normal, video},
	{"enrolment", 12, "transformed", true, open, normal, enrolment},
	{"problem", 10, "transformed", false, open, normal, problem},
	{"poisoned video", 2, "transformed", false, open, poisoned, video},
	{"poisoned enrolment", 2, "transformed", true, open, poisoned, enrolment},
	{"frail video", 5, "transformed", false, frail, normal, video},
	{"frail enrolment", 3, "transformed", true, frail, normal, enrolment},
	{"doomed video", 2, "transformed", false, frail, doomed, video},
	{"doomed enrolment", 2, "transformed", true, frail, doomed, enrolment},
	{"unrouted", 6, "unrouted", false, elsewhere, normal, video},
	{"unrouted critical", 2, "unrouted", true, elsewhere, normal, enrolment},
	{"filtered", 6, "filtered", false, open, normal, func(n int, course string) string { return event(n, "page_close", course, `{}`) }},
	{"unmapped", 4, "unmapped", false, open, normal, func(n int, course string) string { return event(n, "openacademy.tea.poured", course, `{}`) }},
	{"rejected", 4, "rejected", false, open, normal, func(n int, course string) string { return event(n, "play_video", course, `{}`) }},
	{"invalid", 3, "invalid", false, open, normal, func(n int, course string) string { return event(n, "play_video", course, `{}`)[:60] }},
}

// settings are those of a site that has all of the kinds.
const settings = `profile: compat
caliper: {enabled: true, names: [play_video, edx.course.enrollment.activated, problem_check, openacademy.tea.poured]}
xapi: {names: [play_video, edx.course.enrollment.activated, problem_check, openacademy.tea.poured]}
`

func event(n int, name, course, data string) string {
	return fmt.Sprintf(`{"name":%q,"timestamp":"2026-03-02T10:%02d:%02d.%06dZ","context":{"course_id":%q,"user_id":%d,"event_source":"server"},"data":%s}`,
		name, n/60000%60, n/1000%60, n%1000000, course, 1+n%5000, data)
}

func video(n int, course string) string {
	return event(n, "play_video", course, fmt.Sprintf(`{"id":"v%d","duration":10,"currentTime":1}`, n))
}

func enrolment(n int, course string) string {
	return event(n, activated, course, fmt.Sprintf(`{"course_id":%q,"user_id":%d,"mode":"m%d"}`, course, 1+n%5000, n))
}

// problem becomes three xAPI statements.
func problem(n int, course string) string {
	return event(n, "problem_check", course, fmt.Sprintf(`{"problem_id":"block-v1:%s+type@problem+block@p%d","attempts":1,"grade":1,"max_grade":2,"success":"incorrect","submission":{`+
		`"p%[2]d_2_1":{"question":"First?","answer":"a","response_type":"stringresponse","correct":true},`+
		`"p%[2]d_3_1":{"question":"Second?","answer":"b","response_type":"stringresponse","correct":false}}}`, strings.TrimPrefix(course, "course-v1:"), n))
}

// known is an event of the test.
type known struct {
	n    int
	kind *kind
	text string
	// made is what "erbd transform" makes of it, by backend.
	made map[string]made
}

type made struct {
	Outcome    string
	Statements []json.RawMessage
}

// statement is what the test looks at of one.
type statement struct {
	ID string `json:"id"`
}

// draw makes the n-th event.
func draw(d *dice, n int) *known {
	sum := 0
	for i := range kinds {
		sum += kinds[i].weight
	}
	at := d.n(sum)
	for i := range kinds {
		k := &kinds[i]
		if at -= k.weight; at < 0 {
			return &known{n: n, kind: k, text: k.text(n, fmt.Sprintf("course-v1:%s+BIO%d+%s", k.academy, n%7, k.run))}
		}
	}
	panic("no kind of event")
}

// transform asks "erbd transform" what the events become, with the settings of the daemon.
func transform(t *testing.T, d *daemon, events []*known) {
	t.Helper()
	log := filepath.Join(d.dir, "all.log")
	var b bytes.Buffer
	for _, e := range events {
		e.made = map[string]made{}
		b.WriteString(e.text + "\n")
	}
	require.NoError(t, os.WriteFile(log, b.Bytes(), 0o600))
	for _, backend := range []string{"xapi", "caliper"} {
		cmd := exec.Command(binary(t), "transform", "--config", d.config(), "--backend", backend, "--outcomes", "--lenient", "--filter", "--set", "xapi.enabled=true", log)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		n := 0
		for ; lines.Scan(); n++ {
			var m made
			require.NoError(t, json.Unmarshal(lines.Bytes(), &m))
			events[n].made[backend] = m
		}
		require.NoError(t, lines.Err())
		require.NoError(t, cmd.Wait(), errs.String())
		require.Len(t, events, n)
	}
	for _, e := range events {
		want := e.kind.end
		if want == "unrouted" {
			want = "transformed"
		}
		for backend, m := range e.made {
			require.Equal(t, want, m.Outcome, "%s: %s", backend, e.text)
			require.Equal(t, want == "transformed", len(m.Statements) > 0)
		}
	}
}

// id is the id of a statement.
func id(t *testing.T, doc []byte) string {
	t.Helper()
	var s statement
	require.NoError(t, json.Unmarshal(doc, &s))
	require.NotEmpty(t, s.ID)
	return s.ID
}
