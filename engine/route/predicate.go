package route

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/yamldoc"
)

// backend is the routers of one backend and what they want. Its predicates are in two parts: what is asked of the
// name, whose answers are remembered by name, and all the rest, for which the routers share one pass over the event,
// made only where the name leaves a router that needs it.
type backend struct {
	routers []*Router
	names   *expr.Matches // nil where no router asks for a name
	rest    *expr.Matches // nil where no router asks for more than a name
	memo    memo
	// matchers of names and rest, which serve one goroutine at a time.
	nameMatchers, restMatchers sync.Pool
}

// wanted appends the routers that want an event.
func (b *backend) wanted(dst []*Router, ev event.Event) []*Router {
	named := b.named(ev)
	var m *expr.Matcher
	var rest []bool
	for i, r := range b.routers {
		if named != nil && !named[i] {
			continue
		}
		if r.looks {
			if m == nil {
				m = matcher(&b.restMatchers, b.rest)
				rest = m.Match(ev)
			}
			if !rest[i] {
				continue
			}
		}
		dst = append(dst, r)
	}
	if m != nil {
		b.restMatchers.Put(m)
	}
	return dst
}

// named tells for each router whether the name is one that it asks for, nil where none asks.
func (b *backend) named(ev event.Event) []bool {
	if b.names == nil {
		return nil
	}
	if answers, ok := b.memo.get(ev.Name); ok {
		return answers
	}
	m := matcher(&b.nameMatchers, b.names)
	answers := append([]bool(nil), m.Match(ev)...)
	b.nameMatchers.Put(m)
	b.memo.put(ev.Name, answers)
	return answers
}

func matcher(pool *sync.Pool, matches *expr.Matches) *expr.Matcher {
	if m, ok := pool.Get().(*expr.Matcher); ok {
		return m
	}
	return matches.NewMatcher()
}

// compile makes the predicates of the routers. Each fault has the router's place in the list.
func (b *backend) compile() []*expr.MatchError {
	names, rest := make([][]expr.Match, len(b.routers)), make([][]expr.Match, len(b.routers))
	origin := make([][]int, len(b.routers)) // of each entry of rest
	anyName, anyRest := false, false
	for i, r := range b.routers {
		for j, p := range r.Params {
			m := expr.Match{Key: p.Key, Patterns: p.Patterns}
			if p.Key == "name" {
				names[i], anyName = append(names[i], m), true
				continue
			}
			rest[i], anyRest, r.looks = append(rest[i], m), true, true
			origin[i] = append(origin[i], j)
		}
	}
	var faults []*expr.MatchError
	if anyName {
		var found []*expr.MatchError
		b.names, found = expr.CompileMatches(names)
		for _, f := range found {
			for j, p := range b.routers[f.Router].Params {
				if p.Key == "name" {
					f.Entry = j
				}
			}
		}
		faults = append(faults, found...)
	}
	if anyRest {
		var found []*expr.MatchError
		b.rest, found = expr.CompileMatches(rest)
		for _, f := range found {
			if f.Entry < len(origin[f.Router]) {
				f.Entry = origin[f.Router][f.Entry]
			}
		}
		faults = append(faults, found...)
	}
	return faults
}

// compile makes the predicates of a backend and tells their faults where they stand.
func (p *parser) compile(b *backend) {
	for _, f := range b.compile() {
		r := b.routers[f.Router]
		at := p.params[r]
		if f.Entry < len(r.Params) {
			key := r.Params[f.Entry].Key
			at = at.Get(key)
			if f.Pattern >= 0 && at.Kind == yamldoc.Sequence && f.Pattern < len(at.Items) {
				at = at.Items[f.Pattern]
			}
		}
		p.fault(at.Diag(diag.Error, CodePredicate, "", "match_params cannot be compiled: %w", f.Err))
	}
}

// maxMemo bounds the remembered names of a backend: above the number of names that a site emits, below what an
// attacker could make of it.
const maxMemo = 1024

// memo remembers answers by name. Readers take no lock; each new name copies the map.
type memo struct {
	mu    sync.Mutex
	names atomic.Pointer[map[string][]bool]
}

func (m *memo) get(name string) (answers []bool, ok bool) {
	p := m.names.Load()
	if p == nil {
		return nil, false
	}
	answers, ok = (*p)[name]
	return answers, ok
}

func (m *memo) put(name string, answers []bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.names.Load()
	n := 0
	if old != nil {
		n = len(*old)
	}
	if n >= maxMemo {
		return
	}
	names := make(map[string][]bool, n+1)
	if old != nil {
		for k, v := range *old {
			names[k] = v
		}
	}
	names[strings.Clone(name)] = answers // the caller may use the bytes again
	m.names.Store(&names)
}
