package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/route"
)

func newExplainCmd(a *app) *cobra.Command {
	var backend, output, lookup, configFile, routersFile string
	cmd := &cobra.Command{
		Use:   "explain EVENT.json",
		Short: "Show how the statements of an event come about",
		Long: `explain transforms one event and shows, for each value of the statements, the line
of the mapping, the expression and what it read; which alternatives were tried;
and for a rejected event what would have to be different. With --routers it also
shows which routers want the event, and which of their match_params fail. EVENT.json may also be a
line of a tracking log or a golden case; "-" is standard input.`,
		Example: "  mapcheck explain event.json\n  mapcheck explain golden/xapi/play_video/second-70.yaml\n  mapcheck explain event.json --routers routers.yaml\n  sed -n 7p tracking.log | mapcheck explain - --backend xapi --lookup lms.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			line, c, err := a.readEvent(args[0])
			if err != nil {
				return err
			}
			s, err := a.settings(configFile, lookup)
			if err != nil {
				return err
			}
			if c != nil {
				s = c.Settings
				if backend == "" {
					backend = c.Backend
				}
			}
			ev, err := parseEvent(line)
			if err != nil {
				return err
			}
			sets, err := a.sets()
			if err != nil {
				return err
			}
			list, err := a.mapped(sets, backend)
			if err != nil {
				return err
			}
			var set *route.Set
			if routersFile != "" {
				if set, err = routers(routersFile); err != nil {
					return err
				}
			}
			var all []*explanation
			refused := false
			for _, b := range list {
				x, err := explain(cmd, sets, b, s, ev)
				if err != nil {
					return err
				}
				if set != nil {
					x.Routers = routed(set, b, ev)
				}
				refused = refused || x.Outcome != mapping.Transformed.String()
				all = append(all, x)
			}
			if output == "json" {
				err = a.json(all)
			} else {
				for _, x := range all {
					if _, err = fmt.Fprint(a.stdout, x.text()); err != nil {
						break
					}
				}
			}
			if err == nil && refused && len(list) == 1 {
				return errFound
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&backend, "backend", "", "only this backend: xapi or caliper")
	flags.StringVarP(&output, "output", "o", "text", "form of the explanation: text or json")
	flags.StringVar(&lookup, "lookup", "", "`file` of users and courses")
	flags.StringVarP(&configFile, "config", "c", "", "`file` of settings, such as erbd.yaml")
	flags.StringVar(&routersFile, "routers", "", "`file` of routers: show which of them want the event")
	return cmd
}

// explanation is how an event became statements.
type explanation struct {
	Event       string        `json:"event"`
	Backend     string        `json:"backend"`
	Outcome     string        `json:"outcome"`
	Alternative string        `json:"alternative,omitempty"`
	At          diag.Position `json:"at,omitempty"`
	Tried       []value       `json:"tried,omitempty"`
	Statements  [][]value     `json:"statements,omitempty"`
	Lets        []value       `json:"lets,omitempty"`
	Routers     []routing     `json:"routers,omitempty"`
	Refused     *refusal      `json:"rejected,omitempty"`
	Hint        string        `json:"hint,omitempty"`
}

// value is one line of a mapping with what it gave.
type value struct {
	Path  string        `json:"path"`
	Pos   diag.Position `json:"pos"`
	Text  string        `json:"text"`
	JSON  string        `json:"value"`
	Reads []read        `json:"reads,omitempty"`
}

// read is something that an expression looked for in the event.
type read struct {
	Path string `json:"path"`
	JSON string `json:"value"`
}

type refusal struct {
	Field  string        `json:"field"`
	Reason string        `json:"reason"`
	Pos    diag.Position `json:"pos"`
	Reads  []read        `json:"reads,omitempty"`
	Change []string      `json:"change,omitempty"`
}

func explain(cmd *cobra.Command, sets *golden.Sets, backend string, s *config.Settings, ev event.Event) (*explanation, error) {
	set, err := compiled(sets, backend, s, true)
	if err != nil {
		return nil, err
	}
	result, trace := set.NewWorker().Trace(cmd.Context(), ev)
	x := &explanation{Event: ev.Name, Backend: backend, Outcome: result.Outcome.String(), Alternative: result.Alternative, At: sets.Place(trace.Alternative)}
	switch result.Outcome {
	case mapping.Failed:
		return nil, result.Err
	case mapping.Unmapped:
		x.Hint = diag.DidYouMean(ev.Name, set.Names())
		if x.Hint == "" {
			x.Hint = `"mapcheck new" drafts a mapping for it`
		}
	case mapping.Rejected:
		r := result.Rejection
		x.Refused = &refusal{Field: r.Field, Reason: r.Reason, Pos: sets.Place(r.Pos), Reads: reads(ev, r.Reads)}
		x.Refused.Change = changes(ev, r)
	}
	if len(result.Statements) > 0 {
		x.Statements = make([][]value, len(result.Statements))
	}
	for _, step := range trace.Steps {
		v := value{Path: step.Field.Path, Pos: sets.Place(step.Field.Pos), Text: "${" + step.Field.Source + "}", JSON: step.JSON, Reads: reads(ev, step.Field.Reads)}
		if step.Field.Literal {
			v.Text = step.Field.Source
		}
		if step.Failure != nil {
			v.JSON = "(" + step.Failure.Reason + ")"
		}
		switch {
		case step.Field.Path == "when" && step.Statement < 0:
			x.Tried = append(x.Tried, v)
		case strings.HasPrefix(step.Field.Path, "let "):
			if !step.Field.Literal {
				x.Lets = append(x.Lets, v)
			}
		case step.Statement >= 0 && step.Statement < len(x.Statements):
			x.Statements[step.Statement] = append(x.Statements[step.Statement], v)
		}
	}
	return x, nil
}

// reads looks paths and bare keys up in the event.
func reads(ev event.Event, paths []string) (list []read) {
	for _, p := range paths {
		json := "(absent)"
		if r := lookup(string(ev.JSON), p); r.Exists() {
			json = r.Raw
		}
		list = append(list, read{p, json})
	}
	return list
}

// lookup finds a dotted path, or a bare key wherever it is.
func lookup(json, path string) gjson.Result {
	v := gjson.Parse(json)
	if strings.Contains(path, ".") {
		for key := range strings.SplitSeq(path, ".") {
			if v = v.Get(escapeKey(key)); !v.Exists() {
				return v
			}
		}
		return v
	}
	return find(v, path, 0)
}

func find(v gjson.Result, key string, depth int) (found gjson.Result) {
	if found = v.Get(escapeKey(key)); found.Exists() || depth > 64 {
		return found
	}
	v.ForEach(func(_, m gjson.Result) bool {
		if m.IsObject() {
			found = find(m, key, depth+1)
		}
		return !found.Exists() || found.Type == gjson.Null
	})
	return found
}

// member is the JSON of a member of an object, "" where it has none.
func member(json, key string) string { return gjson.Get(json, escapeKey(key)).Raw }

func escapeKey(key string) string {
	return strings.NewReplacer(`\`, `\\`, ".", `\.`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`, "!", `\!`).Replace(key)
}

// changes says what would have to be different for the event to be accepted.
func changes(ev event.Event, r *mapping.Rejection) (list []string) {
	switch {
	case strings.Contains(r.Reason, "user is unknown"):
		return []string{"the user must be in the look-up source, or lookup.unknown_users be pseudonym"}
	case strings.Contains(r.Reason, "course is unknown"):
		return []string{"the course must be in the look-up source, or lookup.unknown_courses be course_id"}
	case strings.Contains(r.Reason, "no user"):
		return []string{"the event needs one of data.user_id, data.username, user_id, username"}
	case strings.Contains(r.Reason, "no alternative"):
		return []string{"one of the conditions of the alternatives must be true"}
	}
	required := strings.Contains(r.Reason, "is required")
	for _, p := range r.Reads {
		if v := lookup(string(ev.JSON), p); !v.Exists() || v.Raw == `""` || v.Raw == "[]" || v.Raw == "{}" || v.Type == gjson.Null {
			list = append(list, p+" must be there and not empty")
		} else if !required {
			list = append(list, p+" must be another value, it is "+expr.JSONValue(v.Raw).Kind().String())
		}
	}
	return list
}

func (x *explanation) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s: %s", x.Event, x.Backend, x.Outcome)
	if x.Outcome == mapping.Transformed.String() {
		fmt.Fprintf(&b, " to %s by %s", cli.Plural(len(x.Statements), "statement"), x.At)
		if x.Alternative != "" {
			fmt.Fprintf(&b, " (%s)", x.Alternative)
		}
	}
	b.WriteByte('\n')
	if x.Hint != "" {
		fmt.Fprintf(&b, "  hint: %s\n", x.Hint)
	}
	if len(x.Tried) > 0 {
		b.WriteString("\nalternatives\n")
		writeValues(&b, x.Tried)
	}
	for i, values := range x.Statements {
		fmt.Fprintf(&b, "\nstatement %d\n", i+1)
		writeValues(&b, values)
	}
	if len(x.Lets) > 0 {
		b.WriteString("\nvalues that they use\n")
		writeValues(&b, x.Lets)
	}
	if len(x.Routers) > 0 {
		b.WriteString("\nrouters\n")
	}
	for _, r := range x.Routers {
		b.WriteString(r.text())
	}
	if r := x.Refused; r != nil {
		fmt.Fprintf(&b, "\nrejected at %s: %s\n  %s\n", r.Field, r.Reason, r.Pos)
		for _, v := range r.Reads {
			fmt.Fprintf(&b, "  reads %s: %s\n", v.Path, brief(v.JSON))
		}
		for _, c := range r.Change {
			fmt.Fprintf(&b, "  to be accepted: %s\n", c)
		}
	}
	return b.String() + "\n"
}

func writeValues(b *strings.Builder, values []value) {
	for i, v := range values {
		if i == 0 || values[i-1].Path != v.Path {
			fmt.Fprintf(b, "  %s\n", v.Path)
		}
		if v.Text == v.JSON || `"`+v.Text+`"` == v.JSON {
			fmt.Fprintf(b, "      %s  %s\n", brief(v.JSON), v.Pos)
			continue
		}
		fmt.Fprintf(b, "      %s  %s: %s\n", brief(v.JSON), v.Pos, strings.Join(strings.Fields(v.Text), " "))
		for _, r := range v.Reads {
			fmt.Fprintf(b, "          reads %s: %s\n", r.Path, brief(r.JSON))
		}
	}
}

func brief(json string) string {
	if r := []rune(json); len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return json
}
