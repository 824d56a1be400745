package main

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"fmt"

	"github.com/dop251/goja"
	expression "github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/google/uuid"
	"github.com/itchyny/gojq"

	"github.com/erbd/erbd/engine/lookup"
)

// The peers make the same statement of a played video with general tools: decode, evaluate, encode. Look-ups and ids
// are Go functions for them as they are for the engine.
type peers struct {
	directory *lookup.Directory
	jq        *gojq.Code
	expr      *vm.Program
	env       map[string]any
	js        *goja.Runtime
	fn        goja.Callable
}

func (p *peers) user(id string) string {
	u, err := p.directory.User(context.Background(), id)
	if err != nil {
		return ""
	}
	return u.ExternalIDs["xapi"]
}

func (p *peers) course(id string) string {
	c, err := p.directory.Course(context.Background(), id)
	if err != nil {
		return ""
	}
	return c.DisplayName
}

func statementID(user, at string) string {
	b := append([]byte(nil), nsPlayed[:]...)
	b = append(b, `{"objectType": "Agent", "account": {"name": "`+user+`", "homePage": "`+root+`"}}-`+at...)
	sum := sha1.Sum(b)
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	var u uuid.UUID
	copy(u[:], sum[:16])
	return u.String()
}

func round3(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }

const jqProgram = `
. as $e | (user($e.context.user_id|tostring)) as $u |
{id: statement_id($u; $e.timestamp),
 result: {extensions: {"https://w3id.org/xapi/video/extensions/time": round3($e.data.current_time // $e.data.currentTime)}},
 version: "1.0.3",
 actor: {objectType: "Agent", account: {name: $u, homePage: $root}},
 verb: {id: "https://w3id.org/xapi/video/verbs/played", display: {en: "played"}},
 object: {id: ($root + "/xblock/block-v1:" + ($e.context.course_id|ltrimstr("course-v1:")) + "+type@video+block@" + $e.data.id), objectType: "Activity",
   definition: {type: "https://w3id.org/xapi/video/activity-type/video"}},
 timestamp: $e.timestamp,
 context: {contextActivities: {parent: [{id: ($root + "/course/" + $e.context.course_id), objectType: "Activity",
     definition: {name: {"en-US": course($e.context.course_id)}, type: "http://adlnet.gov/expapi/activities/course"}}]},
   extensions: {"https://w3id.org/xapi/openedx/extension/transformer-version": $version,
     "https://w3id.org/xapi/openedx/extensions/session-id": $e.context.session,
     "https://w3id.org/xapi/video/extensions/length": round3($e.data.duration)}}}`

const exprProgram = `
let u = user(string(event.context.user_id));
{"id": statement_id(u, event.timestamp),
 "result": {"extensions": {"https://w3id.org/xapi/video/extensions/time": round3(event.data.current_time ?? event.data.currentTime)}},
 "version": "1.0.3",
 "actor": {"objectType": "Agent", "account": {"name": u, "homePage": root}},
 "verb": {"id": "https://w3id.org/xapi/video/verbs/played", "display": {"en": "played"}},
 "object": {"id": root + "/xblock/block-v1:" + split(event.context.course_id, ":")[1] + "+type@video+block@" + event.data.id, "objectType": "Activity",
   "definition": {"type": "https://w3id.org/xapi/video/activity-type/video"}},
 "timestamp": event.timestamp,
 "context": {"contextActivities": {"parent": [{"id": root + "/course/" + event.context.course_id, "objectType": "Activity",
     "definition": {"name": {"en-US": course(event.context.course_id)}, "type": "http://adlnet.gov/expapi/activities/course"}}]},
   "extensions": {"https://w3id.org/xapi/openedx/extension/transformer-version": version,
     "https://w3id.org/xapi/openedx/extensions/session-id": event.context.session,
     "https://w3id.org/xapi/video/extensions/length": round3(event.data.duration)}}}`

const jsProgram = `(function(text) {
 var e = JSON.parse(text), u = user(String(e.context.user_id));
 var time = e.data.current_time || e.data.currentTime;
 return JSON.stringify({id: statement_id(u, e.timestamp),
 result: {extensions: {"https://w3id.org/xapi/video/extensions/time": Math.round(time*1000)/1000}},
 version: "1.0.3",
 actor: {objectType: "Agent", account: {name: u, homePage: root}},
 verb: {id: "https://w3id.org/xapi/video/verbs/played", display: {en: "played"}},
 object: {id: root + "/xblock/block-v1:" + e.context.course_id.split(":")[1] + "+type@video+block@" + e.data.id, objectType: "Activity",
   definition: {type: "https://w3id.org/xapi/video/activity-type/video"}},
 timestamp: e.timestamp,
 context: {contextActivities: {parent: [{id: root + "/course/" + e.context.course_id, objectType: "Activity",
     definition: {name: {"en-US": course(e.context.course_id)}, type: "http://adlnet.gov/expapi/activities/course"}}]},
   extensions: {"https://w3id.org/xapi/openedx/extension/transformer-version": version,
     "https://w3id.org/xapi/openedx/extensions/session-id": e.context.session,
     "https://w3id.org/xapi/video/extensions/length": Math.round(e.data.duration*1000)/1000}}});
})`

func newPeers(d *lookup.Directory) (*peers, error) {
	p := &peers{directory: d}
	query, err := gojq.Parse(jqProgram)
	if err != nil {
		return nil, fmt.Errorf("gojq: %w", err)
	}
	text := func(x any) string { s, _ := x.(string); return s }
	p.jq, err = gojq.Compile(query, gojq.WithVariables([]string{"$root", "$version"}),
		gojq.WithFunction("user", 1, 1, func(_ any, a []any) any { return p.user(text(a[0])) }),
		gojq.WithFunction("course", 1, 1, func(_ any, a []any) any { return p.course(text(a[0])) }),
		gojq.WithFunction("statement_id", 2, 2, func(_ any, a []any) any { return statementID(text(a[0]), text(a[1])) }),
		gojq.WithFunction("round3", 1, 1, func(_ any, a []any) any { x, _ := a[0].(float64); return round3(x) }),
	)
	if err != nil {
		return nil, fmt.Errorf("gojq: %w", err)
	}
	p.env = map[string]any{
		"event": map[string]any{}, "root": root, "version": version,
		"user": p.user, "course": p.course, "statement_id": statementID, "round3": round3,
	}
	if p.expr, err = expression.Compile(exprProgram, expression.Env(p.env)); err != nil {
		return nil, fmt.Errorf("expr: %w", err)
	}
	p.js = goja.New()
	for name, v := range map[string]any{"root": root, "version": version, "user": p.user, "course": p.course, "statement_id": statementID} {
		if err := p.js.Set(name, v); err != nil {
			return nil, fmt.Errorf("goja: %w", err)
		}
	}
	f, err := p.js.RunString(jsProgram)
	if err != nil {
		return nil, fmt.Errorf("goja: %w", err)
	}
	p.fn, _ = goja.AssertFunction(f)
	return p, nil
}

func (p *peers) byJQ(ev []byte) ([]byte, error) {
	var v any
	if err := json.Unmarshal(ev, &v); err != nil {
		return nil, err
	}
	out, _ := p.jq.Run(v, root, version).Next()
	if err, ok := out.(error); ok {
		return nil, err
	}
	return json.Marshal(out)
}

func (p *peers) byExpr(ev []byte) ([]byte, error) {
	var v map[string]any
	if err := json.Unmarshal(ev, &v); err != nil {
		return nil, err
	}
	p.env["event"] = v
	out, err := expression.Run(p.expr, p.env)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

func (p *peers) byJS(ev []byte) ([]byte, error) {
	out, err := p.fn(goja.Undefined(), p.js.ToValue(string(ev)))
	if err != nil {
		return nil, err
	}
	return []byte(out.String()), nil
}
