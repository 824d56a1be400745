package expr

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/event"
)

// Match is one entry of a router's match_params: one of the patterns must be found in the value of the key.
type Match struct {
	Key string
	// Patterns are RE2 regular expressions, searched for anywhere in the value.
	Patterns []string
}

// Matches are the compiled match_params of several routers, which share one pass over an event. It is immutable
// and safe for concurrent use.
type Matches struct {
	scanner *event.Scanner
	vars    *Variables
	nodes   []Node
	byName  []bool
}

// MatchError says which entry of which router is wrong.
type MatchError struct {
	Router, Entry int
	// Pattern is the index of the pattern, -1 where the key is wrong.
	Pattern int
	Err     error
}

// Error returns the cause.
func (e *MatchError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *MatchError) Unwrap() error { return e.Err }

// CompileMatches compiles one CEL predicate a router: all its entries must match. Keys and patterns are bound as
// constants and never become part of the expression's text. A router without entries matches every event.
func CompileMatches(routers [][]Match) (*Matches, []*MatchError) {
	m := &Matches{scanner: event.NewScanner()}
	consts := map[string]Value{}
	var names []string
	constant := func(kind string, s string) string {
		name := kind + strconv.Itoa(len(names))
		names = append(names, name)
		consts[name] = TextValue(s)
		return name
	}
	sources := make([]string, len(routers))
	var faults []*MatchError
	for r, entries := range routers {
		var all []string
		for e, entry := range entries {
			faults = append(faults, entry.check(r, e)...)
			key := constant("key", entry.Key)
			var any []string
			for _, p := range entry.Patterns {
				any = append(any, fmt.Sprintf("search(param(%s), %s)", key, constant("pattern", p)))
			}
			all = append(all, "("+strings.Join(append(any, "false"), " || ")+")")
		}
		sources[r] = strings.Join(append(all, "true"), " && ")
	}
	if len(faults) > 0 {
		return nil, faults
	}
	m.vars = NewVariables(consts)
	scope, err := NewScope(names, nil)
	if err != nil {
		return nil, []*MatchError{{Err: err}}
	}
	b := &Binder{Scanner: m.scanner, Vars: m.vars}
	for r, source := range sources {
		x, list := scope.Compile(source)
		var bound Bound
		if len(list) == 0 {
			bound, list = x.Bind(b)
		}
		if len(list) > 0 {
			return nil, []*MatchError{{Router: r, Pattern: -1, Err: list[0]}}
		}
		m.nodes = append(m.nodes, bound.Node)
		m.byName = append(m.byName, onlyName(bound.Reads))
	}
	return m, nil
}

func (m Match) check(router, entry int) (faults []*MatchError) {
	if err := event.CheckPath(m.Key); err != nil {
		faults = append(faults, &MatchError{router, entry, -1, err})
	}
	for i, p := range m.Patterns {
		if _, err := compilePattern(p); err != nil {
			faults = append(faults, &MatchError{router, entry, i, fmt.Errorf("bad regular expression: %s", regexpReason(err))})
		}
	}
	return faults
}

func onlyName(reads []string) bool {
	for _, path := range reads {
		// A name is at the root of every event, so the other places of the bare key are never looked at.
		if path != "name" && path != "context.name" && path != "data.name" {
			return false
		}
	}
	return true
}

// ByName tells whether the predicate of a router depends on the event's name alone, so that its answers can be kept.
func (m *Matches) ByName(router int) bool { return m.byName[router] }

// Matcher applies Matches to events. It belongs to one goroutine.
type Matcher struct {
	matches *Matches
	frame   *Frame
	answers []bool
}

// NewMatcher returns a Matcher.
func (m *Matches) NewMatcher() *Matcher {
	return &Matcher{matches: m, frame: NewFrame(nil), answers: make([]bool, len(m.nodes))}
}

// Match tells for each router whether it wants the event, normalised JSON. The answers are valid until the next call.
func (m *Matcher) Match(json []byte) []bool {
	m.frame.Begin(context.Background(), json, m.matches.scanner)
	m.frame.Enter(m.matches.vars)
	for i, n := range m.matches.nodes {
		m.answers[i], _ = n(m.frame).Bool()
	}
	return m.answers
}
