package lint

import (
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/yamldoc"
)

// shape is what an object of the output may have: members with their own shapes. A nil shape allows everything.
type shape map[string]*member

type member struct {
	shape shape
	// extensions: keys are IRIs, values are free.
	extensions bool
}

// free is a member whose inside is not looked at.
func free() *member { return &member{} }

func of(s shape) *member { return &member{shape: s} }

// fieldsOf is what a statement of each backend may have.
var fieldsOf = map[string]shape{"xapi": xapiStatement(), "caliper": caliperEvent()}

// xapiStatement is the xAPI 1.0.3 statement.
func xapiStatement() shape {
	extensions := &member{extensions: true}
	account := of(shape{"homePage": free(), "name": free()})
	agent := shape{"objectType": free(), "name": free(), "mbox": free(), "mbox_sha1sum": free(), "openid": free(), "account": account, "member": free()}
	definition := of(shape{"name": free(), "description": free(), "type": free(), "moreInfo": free(), "interactionType": free(),
		"correctResponsesPattern": free(), "choices": free(), "scale": free(), "source": free(), "target": free(), "steps": free(), "extensions": extensions})
	activity := shape{"objectType": free(), "id": free(), "definition": definition}
	object := shape{}
	for _, s := range []shape{agent, activity, {"actor": free(), "verb": free(), "object": free(), "result": free(), "context": free(), "timestamp": free(), "attachments": free()}} {
		for k, v := range s {
			object[k] = v
		}
	}
	activities := of(shape{"parent": of(activity), "grouping": of(activity), "category": of(activity), "other": of(activity)})
	return shape{
		"id": free(), "actor": of(agent), "verb": of(shape{"id": free(), "display": free()}), "object": of(object),
		"result": of(shape{"score": of(shape{"scaled": free(), "raw": free(), "min": free(), "max": free()}), "success": free(),
			"completion": free(), "response": free(), "duration": free(), "extensions": extensions}),
		"context": of(shape{"registration": free(), "instructor": free(), "team": free(), "contextActivities": activities, "revision": free(),
			"platform": free(), "language": free(), "statement": of(shape{"objectType": free(), "id": free()}), "extensions": extensions}),
		"timestamp": free(), "stored": free(), "authority": free(), "version": free(), "attachments": free(),
	}
}

// caliperEvent is the Caliper 1.2 event. Its entities are open: each type has its own members.
func caliperEvent() shape {
	s := shape{}
	for _, k := range []string{"@context", "id", "type", "profile", "actor", "action", "object", "eventTime", "target", "generated", "edApp",
		"referrer", "group", "membership", "session", "federatedSession", "extensions"} {
		s[k] = free()
	}
	return s
}

// fields checks the statements of a file.
func (l *linter) fields(f *file) {
	s := fieldsOf[l.backend]
	l.object(f, f.root.Get("statement"), s, 0)
	l.object(f, f.root.Get("children").Get("statement"), s, 0)
	if alternatives := f.root.Get("alternatives"); alternatives != nil {
		for _, a := range alternatives.Items {
			l.object(f, a.Get("statement"), s, 0)
			l.object(f, a.Get("children").Get("statement"), s, 0)
		}
	}
	if l.backend == "caliper" {
		l.actions(f)
	}
}

func (l *linter) object(f *file, n *yamldoc.Node, s shape, depth int) {
	if n == nil || s == nil || depth > 32 {
		return
	}
	switch n.Kind {
	case yamldoc.Sequence:
		for _, item := range n.Items {
			l.object(f, item, s, depth+1)
		}
		return
	case yamldoc.Scalar:
		l.object(f, l.let(f, n), s, depth+1)
		return
	}
	for _, e := range n.Entries {
		key := e.Key.Text
		if key == "$value" {
			l.object(f, e.Value, s, depth+1)
		}
		if strings.HasPrefix(key, "$") {
			continue
		}
		m := s[key]
		if m == nil {
			d := l.fault(e.Key, diag.Error, CodeUnknownField, "%s does not know %q here", specification[l.backend], key)
			var known []string
			for k := range s {
				known = append(known, k)
			}
			slices.Sort(known)
			if d.Hint = diag.DidYouMean(key, known); d.Hint == "" && len(known) <= 12 {
				d.Hint = "known here: " + strings.Join(known, ", ")
			}
			continue
		}
		if m.extensions {
			l.extensions(e.Value)
			continue
		}
		l.object(f, e.Value, m.shape, depth+1)
	}
}

var specification = map[string]string{"xapi": "xAPI 1.0.3", "caliper": "Caliper 1.2"}

func (l *linter) extensions(n *yamldoc.Node) {
	for _, e := range n.Entries {
		if key := e.Key.Text; !strings.HasPrefix(key, "$") && !strings.Contains(key, ":") {
			l.fault(e.Key, diag.Error, CodeExtensionKey, "the key of an extension is an IRI, such as https://example.org/%s", key)
		}
	}
}

// let is the tree of the let that a scalar names alone, of this file or its bases; nil where it is none.
func (l *linter) let(f *file, n *yamldoc.Node) *yamldoc.Node {
	parts := mapping.Parts(n.Text)
	if n.Tag != yamldoc.String || len(parts) != 1 || !parts[0].Expression {
		return nil
	}
	name := strings.TrimSpace(n.Text[parts[0].From:parts[0].To])
	for range l.files {
		if f == nil {
			return nil
		}
		if let := f.root.Get("let").Get(name); let != nil && let.Kind == yamldoc.Mapping {
			return let
		}
		f = l.file(f.base)
	}
	return nil
}
