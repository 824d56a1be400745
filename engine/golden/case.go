package golden

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Case is one example. It is read-only once it is loaded.
type Case struct {
	// Name is BACKEND/EVENT/CASE, without the ending of the file.
	Name string
	// Backend and Event are the folders that the case stands in.
	Backend, Event string
	// File is where it was read from.
	File string
	// Description says what the case shows; it may be empty.
	Description string
	// Settings are those of the whole folder with those of the case over them.
	Settings *config.Settings
	// Line is the event as a line of input.
	Line []byte
	// Want is what the event must become; nil where the case does not say it yet.
	Want *Want

	source []byte
	expect *yamldoc.Entry
}

// Want is what an event must become: statements, a rejection, or neither where nothing maps it.
type Want struct {
	// Statements are those expected, in order.
	Statements []*yamldoc.Node
	// Rejected is the rejection expected, or nil.
	Rejected *Rejected
	// Pos is where it stands in the case.
	Pos diag.Position
}

// Rejected is an expected rejection.
type Rejected struct {
	// Field is the place in the statement that has no value.
	Field string `yaml:"field,required"`
	// Reason is the whole reason.
	Reason string `yaml:"reason,required"`
}

// document is the form of a case.
type document struct {
	Description string        `yaml:"description" doc:"what the case shows"`
	Settings    *yamldoc.Node `yaml:"settings" doc:"settings that differ from golden/settings.yaml, as in erbd.yaml; paths are relative to the golden folder"`
	Event       *yamldoc.Node `yaml:"event,required" doc:"the event, or a line of a tracking log as text"`
	Expect      *yamldoc.Node `yaml:"expect" doc:"the list of statements; or rejected with field and reason; or the word unmapped. \"mapcheck test --update\" writes it"`
}

// unmapped is the expectation of an event that no mapping has.
const unmapped = "unmapped"

// parseCase reads a case; base are the settings of the folder, dir is where paths in settings start.
func parseCase(name, file string, src []byte, base []*yamldoc.Node, dir string) (*Case, diag.List) {
	parsed, faults := yamldoc.Parse(file, src)
	if faults.HasErrors() || parsed == nil {
		return nil, faults
	}
	var doc document
	if list := yamldoc.Decode(parsed.Root, &doc); len(list) > 0 {
		return nil, append(faults, list...)
	}
	if doc.Event == nil { // the whole file is null
		return nil, append(faults, parsed.Root.Diag(diag.Error, yamldoc.CodeType, "", "expected a case with an event, found null"))
	}
	parts := strings.Split(name, "/")
	c := &Case{Name: name, Backend: parts[0], Event: parts[1], File: file, Description: doc.Description,
		source: src, expect: parsed.Root.Entry("expect")}
	if doc.Settings != nil {
		base = append(base[:len(base):len(base)], doc.Settings)
	}
	var list diag.List
	c.Settings, list = settings(base, dir)
	faults = append(faults, list...)
	if doc.Event.Kind == yamldoc.Scalar {
		c.Line = []byte(doc.Event.Text)
	} else {
		c.Line = doc.Event.AppendJSON(nil)
	}
	faults = append(faults, c.checkEvent(doc.Event)...)
	if doc.Expect != nil {
		c.Want, list = parseWant(doc.Expect)
		faults = append(faults, list...)
	}
	if faults.HasErrors() {
		return nil, faults
	}
	return c, faults
}

// checkEvent sees that the event can be read and stands in the folder of its name.
func (c *Case) checkEvent(n *yamldoc.Node) diag.List {
	var p event.Parser
	ev, err := p.Parse(c.Line)
	if err != nil {
		return diag.List{n.Diag(diag.Error, "bad-event", "event", "%w", err)}
	}
	if ev.Name != c.Event {
		d := n.Diag(diag.Error, "wrong-folder", "event", "the case stands in the folder of %s, its event is %s", c.Event, ev.Name)
		d.Hint = fmt.Sprintf("move the case to %s/%s", c.Backend, ev.Name)
		return diag.List{d}
	}
	return nil
}

func parseWant(n *yamldoc.Node) (*Want, diag.List) {
	w := &Want{Pos: n.Pos()}
	switch {
	case n.Kind == yamldoc.Sequence && len(n.Items) > 0:
		w.Statements = n.Items
		return w, nil
	case n.Kind == yamldoc.Scalar && n.Text == unmapped:
		return w, nil
	case n.Get("rejected") != nil:
		var doc struct {
			Rejected Rejected `yaml:"rejected"`
		}
		faults := yamldoc.Decode(n, &doc)
		w.Rejected = &doc.Rejected
		return w, faults
	}
	return nil, diag.List{n.Diag(diag.Error, "bad-expectation", "expect",
		"expect is a list of statements, or {rejected: {field: …, reason: …}}, or the word %s", unmapped)}
}

// CaseForm is the type that a case is decoded into: what a JSON Schema of it must agree with.
func CaseForm() reflect.Type { return reflect.TypeFor[document]() }
