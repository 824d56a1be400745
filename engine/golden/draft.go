package golden

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Draft writes a mapping for an event that has none: a guess that compiles, with what else the event has as comments.
func Draft(backend string, ev event.Event) []byte {
	data := gjson.GetBytes(ev.JSON, "data")
	id, kind := subject(data)
	var b strings.Builder
	fmt.Fprintf(&b, "# yaml-language-server: $schema=../../schemas/mapping.schema.json\n# A draft for %s: read it line by line, and put right what was guessed.\nversion: 1\nbackend: %s\nextends: base\n\nevents:\n", ev.Name, backend)
	if backend == "caliper" {
		fmt.Fprintf(&b, "  # type and action are those of the Caliper specification.\n  %s: {type: Event, action: %s}\n", yamlText(ev.Name), caliperAction(ev.Name))
		fmt.Fprintf(&b, "\nstatement:\n  object:\n    # What it was done to.\n    id: %s\n    type: DigitalResource\n", reference(id, kind))
	} else {
		fmt.Fprintf(&b, "  # The verb is one of the table verbs in base.yaml.\n  %s: {verb: %s}\n", yamlText(ev.Name), verb(ev.Name))
		fmt.Fprintf(&b, "\nstatement:\n  object:\n    # What it was done to.\n    id: %s\n    objectType: Activity\n    definition:\n      # A type of activity: an address that others use as well.\n      type: http://id.tincanapi.com/activitytype/resource\n", reference(id, kind))
	}
	if rest := otherMembers(data, id); len(rest) > 0 {
		b.WriteString("\n# The event also has:\n")
		for _, r := range rest {
			b.WriteString("#   ${get(\"" + r + "\")}\n")
		}
	}
	return []byte(b.String())
}

// reference is the expression for the id of the object.
func reference(path, kind string) string {
	switch {
	case path == "":
		return `${root}/course/${require("context.course_id")}`
	case kind == "address":
		return fmt.Sprintf(`${require(%q)}`, path)
	}
	return fmt.Sprintf(`${root}/xblock/${require(%q)}`, path)
}

// subject guesses which member of the data says what the event is about.
func subject(data gjson.Result) (path, kind string) {
	for _, key := range []string{"usage_key", "block_id", "problem_id", "module_id", "component_usage_id", "id", "target_url", "url"} {
		v := data.Get(key)
		if v.Type != gjson.String || v.Str == "" {
			continue
		}
		if strings.Contains(v.Str, "://") {
			return "data." + key, "address"
		}
		return "data." + key, "block"
	}
	data.ForEach(func(k, v gjson.Result) bool {
		if strings.HasSuffix(k.Str, "_id") && v.Type == gjson.String && v.Str != "" && k.Str != "course_id" && k.Str != "user_id" {
			path, kind = "data."+k.Str, "block"
		}
		return path == ""
	})
	return path, kind
}

// otherMembers lists the other scalar members of the data.
func otherMembers(data gjson.Result, subject string) (paths []string) {
	data.ForEach(func(k, v gjson.Result) bool {
		path := "data." + k.Str
		if v.IsObject() || v.IsArray() || path == subject || strings.ContainsAny(k.Str, "\". \n") || slices.Contains([]string{"user_id", "username", "course_id"}, k.Str) {
			return true
		}
		paths = append(paths, path)
		return len(paths) < 40
	})
	return paths
}

// verbWords are words in the names of events with the verb that they suggest; all are in the table of base.yaml.
var verbWords = [][2]string{
	{"unenroll", "unregistered"}, {"enroll", "registered"}, {"load", "initialized"}, {"start", "initialized"}, {"created", "initialized"}, {"play", "played"}, {"pause", "paused"},
	{"stop", "terminated"}, {"submit", "attempted"}, {"complet", "completed"}, {"pass", "passed"}, {"fail", "failed"}, {"post", "posted"},
	{"edit", "edited"}, {"delet", "deleted"}, {"vot", "voted"}, {"report", "reported"}, {"grad", "earned"}, {"view", "viewed"},
	{"select", "navigated"}, {"click", "navigated"}, {"navig", "navigated"}, {"show", "interacted"}, {"seek", "seeked"}, {"progress", "progressed"},
}

func verb(name string) string {
	name = strings.ToLower(name)
	for _, w := range verbWords {
		if strings.Contains(name, w[0]) {
			return w[1]
		}
	}
	return "interacted"
}

// actionWords are the same for Caliper; all are actions that an Event may have.
var actionWords = [][2]string{
	{"start", "Started"}, {"submit", "Submitted"}, {"complet", "Completed"}, {"post", "Posted"}, {"delet", "Deleted"}, {"creat", "Created"},
	{"view", "Viewed"}, {"select", "NavigatedTo"}, {"click", "NavigatedTo"}, {"grad", "Graded"}, {"bookmark", "Bookmarked"}, {"search", "Searched"},
}

func caliperAction(name string) string {
	name = strings.ToLower(name)
	for _, w := range actionWords {
		if strings.Contains(name, w[0]) {
			return w[1]
		}
	}
	return "Used"
}

// DraftCase writes a case without an expectation.
func DraftCase(line []byte) []byte {
	const header = "# yaml-language-server: $schema=../../../schemas/case.schema.json\ndescription: \"\"\n"
	v := gjson.ParseBytes(line)
	// Only text that is a whole object by itself can be written as YAML; the line of a log stays as it is.
	if line = []byte(strings.TrimSpace(string(line))); len(line) > 0 && line[0] == '{' && v.Get("data").Exists() && gjson.ValidBytes(line) {
		src := appendBlock([]byte(header+"event:\n  "), v, 2, false)
		if _, faults := yamldoc.Parse("", src); len(faults) == 0 {
			return src
		}
	}
	return append(append([]byte(header+"event: |-\n  "), line...), '\n')
}
