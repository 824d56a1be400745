package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"math"
	"strconv"
	"unsafe"

	"github.com/google/uuid"

	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/lookup"
)

// The hand-written transformers are what an engineer would write for one event and nothing else: one pass over the
// bytes, appends, no allocation, and hardly a check: what the events here are not, such as of a time that needs to be
// rewritten, is not handled. Their output is that of the engine, byte for byte.
const (
	root    = "http://localhost:18000"
	version = "event-routing-backends@1.0.0"
)

var (
	nsPlayed    = namespace(`{"id": "https://w3id.org/xapi/video/verbs/played", "display": {"en": "played"}}`)
	nsEvaluated = namespace(`{"id": "https://w3id.org/xapi/acrossx/verbs/evaluated", "display": {"en": "evaluated"}}`)
)

// namespace is the namespace of the statement ids of a verb. The UUID is the base that the reference uses.
func namespace(verb string) uuid.UUID {
	return uuid.NewSHA1(uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), []byte(verb))
}

type hand struct {
	directory *lookup.Directory
	buf       []byte
	room      [16]span
	innerRoom [8]span
	play      paths
	problem   paths
	p         struct{ user, course, session, id, duration, current, current2, time int }
	c         struct {
		user, course, session, time, problem, attempts, submission, grade, max int
	}
	submission paths
	s          struct{ question, answer, correct, kind int }
}

func newHand(d *lookup.Directory) *hand {
	h := &hand{directory: d}
	x := &h.play
	h.p.user, h.p.course, h.p.session = x.add("context.user_id"), x.add("context.course_id"), x.add("context.session")
	h.p.id, h.p.duration, h.p.time = x.add("data.id"), x.add("data.duration"), x.add("timestamp")
	h.p.current, h.p.current2 = x.add("data.current_time"), x.add("data.currentTime")
	x = &h.problem
	h.c.user, h.c.course, h.c.session, h.c.time = x.add("context.user_id"), x.add("context.course_id"), x.add("context.session"), x.add("timestamp")
	h.c.problem, h.c.attempts, h.c.submission = x.add("data.problem_id"), x.add("data.attempts"), x.add("data.submission")
	h.c.grade, h.c.max = x.add("data.grade"), x.add("data.max_grade")
	x = &h.submission
	h.s.question, h.s.answer, h.s.correct, h.s.kind = x.add("question"), x.add("answer"), x.add("correct"), x.add("response_type")
	return h
}

// view is b as text, without a copy.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func inner(b []byte, s span) []byte {
	if s.kind != '"' {
		return nil
	}
	return b[s.start+1 : s.end-1]
}

func (h *hand) head(dst, ev []byte, ns uuid.UUID, user, at span) ([]byte, string) {
	u, err := h.directory.User(context.Background(), view(user.raw(ev)))
	if err != nil {
		return nil, ""
	}
	name := u.ExternalIDs["xapi"]
	b := append(h.buf[:0], ns[:]...)
	b = append(b, `{"objectType": "Agent", "account": {"name": "`...)
	b = append(b, name...)
	b = append(b, `", "homePage": "`+root+`"}}-`...)
	b = append(b, inner(ev, at)...)
	h.buf = b
	sum := sha1.Sum(b)
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	dst = append(dst, `{"id":"`...)
	dst = hex.AppendEncode(dst, sum[0:4])
	dst = hex.AppendEncode(append(dst, '-'), sum[4:6])
	dst = hex.AppendEncode(append(dst, '-'), sum[6:8])
	dst = hex.AppendEncode(append(dst, '-'), sum[8:10])
	dst = hex.AppendEncode(append(dst, '-'), sum[10:16])
	return append(dst, `","result":{`...), name
}

func (h *hand) tail(dst, ev []byte, course, session span) []byte {
	id := inner(ev, course)
	c, err := h.directory.Course(context.Background(), view(id))
	if err != nil {
		return nil
	}
	dst = append(dst, `"context":{"contextActivities":{"parent":[{"id":"`+root+`/course/`...)
	dst = append(dst, id...)
	dst = append(dst, `","objectType":"Activity","definition":{"name":{"en-US":`...)
	dst = expr.AppendString(dst, c.DisplayName)
	dst = append(dst, `},"type":"http://adlnet.gov/expapi/activities/course"}}]},"extensions":{"https://w3id.org/xapi/openedx/extension/transformer-version":"`+version+`","https://w3id.org/xapi/openedx/extensions/session-id":`...)
	return append(dst, session.raw(ev)...)
}

func appendSeconds(dst, raw []byte) []byte {
	f, err := strconv.ParseFloat(view(raw), 64)
	if err != nil {
		return append(dst, '0')
	}
	n := int64(math.Round(f * 1000))
	dst = strconv.AppendInt(dst, n/1000, 10)
	m := n % 1000
	dst = append(dst, '.', byte('0'+m/100), byte('0'+m/10%10), byte('0'+m%10))
	for i := 0; i < 2 && dst[len(dst)-1] == '0'; i++ {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendStamp: the sample events carry times that need no rewriting.
func appendStamp(dst, ev []byte, at span) []byte {
	dst = append(dst, `"timestamp":"`...)
	dst = append(dst, inner(ev, at)...)
	return append(dst, `",`...)
}

func actor(dst []byte, name string) []byte {
	dst = append(dst, `"version":"1.0.3","actor":{"objectType":"Agent","account":{"name":"`...)
	dst = append(dst, name...)
	return append(dst, `","homePage":"`+root+`"}},"verb":`...)
}

func (h *hand) playVideo(dst, ev []byte) []byte {
	v := h.play.find(ev, h.room[:])
	dst, name := h.head(dst, ev, nsPlayed, v[h.p.user], v[h.p.time])
	current := v[h.p.current]
	if current.kind != '0' {
		current = v[h.p.current2]
	}
	dst = append(dst, `"extensions":{"https://w3id.org/xapi/video/extensions/time":`...)
	dst = appendSeconds(dst, current.raw(ev))
	dst = append(dst, `}},`...)
	dst = actor(dst, name)
	dst = append(dst, `{"id":"https://w3id.org/xapi/video/verbs/played","display":{"en":"played"}},"object":{"id":"`+root+`/xblock/block-v1:`...)
	course := inner(ev, v[h.p.course])
	dst = append(dst, course[len("course-v1:"):]...)
	dst = append(dst, `+type@video+block@`...)
	dst = append(dst, inner(ev, v[h.p.id])...)
	dst = append(dst, `","objectType":"Activity","definition":{"type":"https://w3id.org/xapi/video/activity-type/video"}},`...)
	dst = appendStamp(dst, ev, v[h.p.time])
	dst = h.tail(dst, ev, v[h.p.course], v[h.p.session])
	dst = append(dst, `,"https://w3id.org/xapi/video/extensions/length":`...)
	dst = appendSeconds(dst, v[h.p.duration].raw(ev))
	return append(dst, `}}}`...)
}

var interactionTypes = map[string]string{
	"choiceresponse": "choice", "multiplechoiceresponse": "choice", "choicetextresponse": "choice", "optionresponse": "choice",
	"numericalresponse": "numeric", "stringresponse": "fill-in", "formularesponse": "fill-in", "annotationresponse": "fill-in",
	"symbolicresponse": "fill-in", "imageresponse": "matching", "truefalseresponse": "true-false",
}

func (h *hand) problemCheck(dst, ev []byte) []byte {
	v := h.problem.find(ev, h.room[:])
	dst, name := h.head(dst, ev, nsEvaluated, v[h.c.user], v[h.c.time])
	// The first member of the submission.
	raw := v[h.c.submission].raw(ev)
	start := bytes.IndexByte(raw[1:], '{') + 1
	sub := raw[start : len(raw)-1]
	s := h.submission.find(sub, h.innerRoom[:])
	grade, _ := strconv.ParseFloat(view(v[h.c.grade].raw(ev)), 64)
	most, _ := strconv.ParseFloat(view(v[h.c.max].raw(ev)), 64)
	scaled := 0.0
	if most != 0 {
		scaled = grade / most
	}
	dst = append(dst, `"score":{"scaled":`...)
	dst = expr.DoubleValue(scaled).AppendJSON(dst)
	dst = append(dst, `,"raw":`...)
	dst = expr.DoubleValue(grade).AppendJSON(dst)
	dst = append(dst, `,"min":0.0,"max":`...)
	dst = expr.DoubleValue(most).AppendJSON(dst)
	dst = append(dst, `},"success":`...)
	dst = append(dst, s[h.s.correct].raw(sub)...)
	dst = append(dst, `,"response":`...)
	dst = append(dst, s[h.s.answer].raw(sub)...)
	dst = append(dst, `},`...)
	dst = actor(dst, name)
	dst = append(dst, `{"id":"https://w3id.org/xapi/acrossx/verbs/evaluated","display":{"en":"evaluated"}},"object":{"id":"`+root+`/xblock/`...)
	dst = append(dst, inner(ev, v[h.c.problem])...)
	dst = append(dst, `","objectType":"Activity","definition":{"description":{"en-US":`...)
	dst = append(dst, s[h.s.question].raw(sub)...)
	dst = append(dst, `},"type":"http://adlnet.gov/expapi/activities/cmi.interaction","interactionType":"`...)
	kind, ok := interactionTypes[string(inner(sub, s[h.s.kind]))]
	if !ok {
		kind = "other"
	}
	dst = append(dst, kind...)
	dst = append(dst, `","extensions":{"http://id.tincanapi.com/extension/attempt-id":`...)
	dst = append(dst, v[h.c.attempts].raw(ev)...)
	dst = append(dst, `}}},`...)
	dst = appendStamp(dst, ev, v[h.c.time])
	dst = h.tail(dst, ev, v[h.c.course], v[h.c.session])
	return append(dst, `}}}`...)
}
