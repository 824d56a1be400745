package expr

import (
	"context"
	"fmt"
	"slices"
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
	routers []predicate
	byName  []bool
}

// predicate is what one router wants: one node of every clause must be true. It is one clause of one node, except
// where the router's expression would be longer than expressions may be.
type predicate [][]Node

func (p predicate) holds(f *Frame) bool {
	for _, clause := range p {
		any := false
		for _, n := range clause {
			if any, _ = n(f).Bool(); any {
				break
			}
		}
		if !any {
			return false
		}
	}
	return true
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

// CompileMatches compiles one CEL predicate a router (several where it has very many patterns): all its entries must match. Keys and patterns are bound as
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
	clauses := make([][][]string, len(routers))
	var faults []*MatchError
	programs := 0
	for r, entries := range routers {
		for e, entry := range entries {
			size, list := entry.check(r, e)
			if faults, programs = append(faults, list...), programs+size; programs > maxPrograms {
				return nil, append(faults, &MatchError{r, e, -1, errTooManyPatterns})
			}
			key := constant("key", entry.Key)
			var any []string
			for _, p := range entry.Patterns {
				any = append(any, fmt.Sprintf("search(param(%s), %s)", key, constant("pattern", p)))
			}
			clauses[r] = append(clauses[r], any)
		}
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
	for r := range routers {
		var p predicate
		byName := true
		for _, sources := range sources(clauses[r]) {
			var clause []Node
			for _, source := range sources {
				x, list := scope.Compile(source)
				var bound Bound
				if len(list) == 0 {
					bound, list = x.Bind(b)
				}
				if len(list) > 0 {
					return nil, []*MatchError{{Router: r, Pattern: -1, Err: list[0]}}
				}
				clause = append(clause, bound.Node)
				byName = byName && onlyName(bound.Reads)
			}
			p = append(p, clause)
		}
		m.routers = append(m.routers, p)
		m.byName = append(m.byName, byName)
	}
	return m, nil
}

// sources returns the text of a router's predicate: one expression if that is short enough, else some for each
// clause, of which one must hold.
func sources(clauses [][]string) [][]string {
	var all []string
	for _, any := range clauses {
		all = append(all, "("+strings.Join(append(slices.Clone(any), "false"), " || ")+")")
	}
	if whole := strings.Join(append(all, "true"), " && "); len(whole) <= maxSource {
		return [][]string{{whole}}
	}
	const joint = " || "
	out := make([][]string, len(clauses))
	for i, any := range clauses {
		part := ""
		for _, term := range any {
			if part != "" && len(part)+len(joint)+len(term) > maxSource {
				out[i] = append(out[i], part)
				part = ""
			}
			if part != "" {
				part += joint
			}
			part += term
		}
		if part == "" {
			part = "false"
		}
		out[i] = append(out[i], part)
	}
	return out
}

// check tells the size of the patterns and their faults.
func (m Match) check(router, entry int) (size int, faults []*MatchError) {
	if err := event.CheckPath(m.Key); err != nil {
		faults = append(faults, &MatchError{router, entry, -1, err})
	}
	for i, p := range m.Patterns {
		re, err := compilePattern(p)
		if err != nil {
			faults = append(faults, &MatchError{router, entry, i, fmt.Errorf("bad regular expression: %s", regexpReason(err))})
			continue
		}
		size += re.size
	}
	return size, faults
}

var errTooManyPatterns = fmt.Errorf("the regular expressions of all routers together are too large: x{1000} counts as often as it says")

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
	return &Matcher{matches: m, frame: NewFrame(nil), answers: make([]bool, len(m.routers))}
}

// Match tells for each router whether it wants the event. The answers are valid until the next call.
func (m *Matcher) Match(ev event.Event) []bool {
	m.frame.Begin(context.Background(), ev, m.matches.scanner)
	m.frame.Enter(m.matches.vars)
	for i, p := range m.matches.routers {
		m.answers[i] = p.holds(m.frame)
	}
	return m.answers
}
