package lint

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/route"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Routers looks through a file of routers: the faults that keep it from being loaded, and match_params that no
// golden event satisfies or that match more than they seem to.
func Routers(name string, cases []*golden.Case) (diag.List, error) {
	src, err := plainfile.Read(name)
	if err != nil {
		return nil, fmt.Errorf("read routers: %w", err)
	}
	_, faults := route.Parse(name, src, route.Options{})
	doc, _ := yamldoc.Parse(name, src)
	if doc == nil || doc.Root.Kind != yamldoc.Mapping {
		return faults, nil
	}
	events := paths{}
	for _, c := range cases {
		events.add(c.Line)
	}
	for _, backend := range doc.Root.Entries {
		routers := backend.Value.Items
		if backend.Value.Kind == yamldoc.Mapping {
			routers = []*yamldoc.Node{backend.Value}
		}
		for _, r := range routers {
			if params := r.Get("match_params"); params != nil {
				for _, e := range params.Entries {
					faults = append(faults, param(e, events)...)
				}
			}
		}
	}
	faults.Sort()
	config.HideSecrets(faults)
	return faults, nil
}

// param checks one key of match_params.
func param(e yamldoc.Entry, events paths) (faults diag.List) {
	values := valuesOf(events, e.Key.Text)
	if len(events) > 0 && values == nil {
		d := e.Key.Diag(diag.Warning, CodeNoMatch, "", "no golden event has %s, so the router may never want one", e.Key.Text)
		d.Hint = diag.DidYouMean(e.Key.Text, events.names())
		faults = append(faults, d)
	}
	patterns := e.Value.Items
	if e.Value.Kind == yamldoc.Scalar {
		patterns = []*yamldoc.Node{e.Value}
	}
	for _, n := range patterns {
		re, err := regexp.Compile(n.Text)
		if err != nil || n.Kind != yamldoc.Scalar {
			continue // the loader has reported it
		}
		matched := false
		for _, v := range values {
			matched = matched || re.MatchString(v)
		}
		if values != nil && !matched {
			faults = append(faults, n.Diag(diag.Warning, CodeNoMatch, "", "no golden event has a %s that matches", e.Key.Text))
		}
		faults = append(faults, loose(n)...)
	}
	return faults
}

// valuesOf are the values that a key of match_params looks at.
func valuesOf(events paths, key string) []string {
	if strings.Contains(key, ".") {
		return events[key]
	}
	return append(append(append([]string(nil), events[key]...), events["context."+key]...), events["data."+key]...)
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_.:/-]+$`)

// loose finds patterns that match more than they seem to: a whole name without anchors, whose dots mean any
// character.
func loose(n *yamldoc.Node) diag.List {
	text := n.Text
	if text == "" {
		d := n.Diag(diag.Warning, CodeLoosePattern, "", "an empty pattern matches every text")
		return diag.List{d}
	}
	if !plainName.MatchString(text) || strings.Count(text, ".") < 2 {
		return nil
	}
	d := n.Diag(diag.Info, CodeLoosePattern, "", "the pattern also matches longer texts, and its dots match any character")
	d.Hint = fmt.Sprintf("for this name alone write %q", "^"+regexp.QuoteMeta(text)+"$")
	return diag.List{d}
}
