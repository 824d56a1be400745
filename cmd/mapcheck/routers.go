package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/route"
)

// routing is whether a router wants an event, and why.
type routing struct {
	Router string        `json:"router"`
	Pos    diag.Position `json:"pos"`
	Wants  bool          `json:"wants"`
	Params []matching    `json:"match_params,omitempty"`
}

// matching is one key of match_params.
type matching struct {
	Key      string   `json:"key"`
	Patterns []string `json:"patterns"`
	JSON     string   `json:"value"`
	Matches  bool     `json:"matches"`
}

// routers reads a file of routers.
func routers(file string) (*route.Set, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read routers: %w", err)
	}
	set, faults := route.Parse(file, src, route.Options{})
	if faults.HasErrors() {
		return nil, cli.Faulty("the routers", faults)
	}
	return set, nil
}

// routed tells for each router of a backend whether it wants an event.
func routed(set *route.Set, backend string, ev event.Event) (list []routing) {
	for _, r := range set.Backend(backend) {
		x := routing{Router: r.Name, Pos: r.Pos, Wants: r.Wants(ev)}
		for _, p := range r.Params {
			m := matching{Key: p.Key, Patterns: p.Patterns, JSON: "(absent)"}
			if v := matchValue(string(ev.JSON), p.Key); v != "" {
				m.JSON = v
			}
			if c, faults := expr.CompileMatches([][]expr.Match{{{Key: p.Key, Patterns: p.Patterns}}}); len(faults) == 0 {
				m.Matches = c.NewMatcher().Match(ev)[0]
			}
			x.Params = append(x.Params, m)
		}
		list = append(list, x)
	}
	return list
}

// matchValue is what a key of match_params means: a path; or a bare key at the root, in the context or in the data.
func matchValue(json, key string) string {
	paths := []string{key}
	if !strings.Contains(key, ".") {
		paths = []string{key, "context." + key, "data." + key}
	}
	for _, p := range paths {
		v := json
		ok := true
		for k := range strings.SplitSeq(p, ".") {
			var r = member(v, k)
			if r == "" {
				ok = false
				break
			}
			v = r
		}
		if ok {
			return v
		}
	}
	return ""
}

func (r *routing) text() string {
	var b strings.Builder
	verdict := "wants the event"
	if !r.Wants {
		verdict = "does not want the event"
	}
	fmt.Fprintf(&b, "  %s %s  %s\n", r.Router, verdict, r.Pos)
	for _, m := range r.Params {
		word := "matches"
		if !m.Matches {
			word = "does not match"
		}
		fmt.Fprintf(&b, "      %s: %s %s %q\n", m.Key, brief(m.JSON), word, m.Patterns)
	}
	return b.String()
}
