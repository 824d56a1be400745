//go:build unix

package torture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// route is a router of the site with its record store.
type route struct {
	backend, name, academy string
	// events are the names that it wants, all where there are none.
	events string
	// settings are further YAML.
	settings string
	*store
}

// site is the routers of a test.
type site struct {
	t      *testing.T
	part   string
	routes []*route
}

// newSite makes three stores that are hostile, and one that is but gives each of its events few attempts.
func newSite(t *testing.T, part string) *site {
	s := &site{t: t, part: part}
	hostile := slices.Concat(refusals, pauses, lies)
	const patient = "timeout: 1s, retry: {max_retries: 1000, countdown: 0.1}"
	for _, r := range []*route{
		{backend: "xapi", name: "lrs", academy: open, settings: patient + ", batch: {enabled: true, size: 20, interval: 0.2}"},
		{backend: "xapi", name: "single", academy: open, events: "enrollment|problem", settings: patient},
		{backend: "caliper", name: "cal", academy: open, settings: patient + ", batch: {enabled: true, size: 10, interval: 0.1}"},
		{backend: "xapi", name: "frail", academy: frail, settings: "timeout: 5s, retry: {max_retries: 2, countdown: 0.05}"},
	} {
		faults := hostile
		if r.academy == frail { // its normal events have no attempt to lose
			faults = pauses
		}
		r.store = newStore(t, part+" "+r.name, faults)
		s.routes = append(s.routes, r)
	}
	return s
}

// hostility sets how hostile the stores are, in percent of the requests.
func (s *site) hostility(percent int64) {
	for _, r := range s.routes {
		r.level.Store(percent)
	}
}

// yaml is the routers file.
func (s *site) yaml() string {
	var b strings.Builder
	for _, backend := range []string{"xapi", "caliper"} {
		b.WriteString(backend + ":\n")
		for _, r := range s.routes {
			if r.backend != backend {
				continue
			}
			match := fmt.Sprintf("course_id: %q", r.academy)
			if r.events != "" {
				match += fmt.Sprintf(", name: %q", r.events)
			}
			fmt.Fprintf(&b, "  - {name: %s, url: %q, match_params: {%s}, %s}\n", r.name, r.url("/"+r.name), match, r.settings)
		}
	}
	return b.String()
}

func (r *route) wants(e *known) bool {
	return e.kind.end == "transformed" && e.kind.academy == r.academy &&
		(r.events == "" || strings.Contains(e.text, `"name":"edx.course.enrollment`) || strings.Contains(e.text, `"name":"problem`))
}

// fate is what has to become of an event at a router.
func (e *known) fate() string {
	switch {
	case e.kind.run == normal:
		return "delivered"
	case e.kind.critical:
		return "kept"
	}
	return "dropped"
}

// verify compares all events with what the stores and the daemon have, and returns what became of them, by backend or
// router.
func (s *site) verify(d *daemon, events []*known) {
	s.t.Helper()
	transform(s.t, d, events)
	for _, r := range s.routes {
		r.verify(s.t, events)
	}

	var list []struct{ Backend, Router, ID string }
	require.NoError(s.t, json.Unmarshal([]byte(d.run("failed", "list", "--output", "json")), &list))
	kept := map[string]int{}
	for _, f := range list {
		kept[f.Backend+"/"+f.Router+" "+f.ID]++
	}
	want := map[string]int{}
	outcomes := map[string]map[string]int{}
	note := func(where, what string) {
		if outcomes[where] == nil {
			outcomes[where] = map[string]int{}
		}
		outcomes[where][what]++
	}
	for _, e := range events {
		for backend, m := range e.made {
			wanted := 0
			for _, r := range s.routes {
				if r.backend != backend || !r.wants(e) {
					continue
				}
				wanted++
				note(backend+"/"+r.name, e.fate())
				if e.fate() == "kept" {
					want[backend+"/"+r.name+" "+id(s.t, m.Statements[0])] = 1
				}
			}
			end := e.kind.end
			if wanted == 0 && end == "transformed" {
				end = "unrouted"
			}
			note(backend, end)
		}
	}
	assert.Equal(s.t, want, kept, "the failed events")

	var aside []json.RawMessage
	require.NoError(s.t, json.Unmarshal([]byte(d.run("failed", "bad", "--output", "json")), &aside))
	invalid := 0
	for _, e := range events {
		if e.kind.end == "invalid" {
			invalid++
		}
	}
	assert.GreaterOrEqual(s.t, len(aside), 2*invalid, "what is invalid is kept aside for each backend")
	if invalid == 0 {
		assert.Empty(s.t, aside)
	}

	report.add(s.part, "events acknowledged to the publisher", len(events))
	for _, where := range slices.Sorted(maps.Keys(outcomes)) {
		report.counts(s.part, "ends in "+where, outcomes[where])
	}
	faults, statements, repeated := map[string]int{}, 0, 0
	for _, r := range s.routes {
		for what, n := range r.met {
			faults[what] += n
		}
		n, again := r.unique()
		statements, repeated = statements+n, repeated+again
	}
	report.counts(s.part, "faults of record stores", faults)
	report.add(s.part, "statements at the record stores", fmt.Sprintf("%d, of which came again with the same id: %d", statements, repeated))
	report.add(s.part, "failed events kept", len(kept))
	report.add(s.part, "unreadable messages kept aside", len(aside))
	if !s.t.Failed() {
		report.add(s.part, "lost", 0)
	}
}

// verify compares what a store has with what it has to have.
func (r *route) verify(t *testing.T, events []*known) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	left := maps.Clone(r.taken)
	lost := 0
	for _, e := range events {
		if !r.wants(e) || e.fate() != "delivered" {
			continue
		}
		for _, doc := range e.made[r.backend].Statements {
			id := id(t, doc)
			delete(left, id)
			if r.taken[id] == 0 {
				if lost++; lost <= 5 {
					t.Errorf("lost at %s/%s: statement %s of event %d (%s)", r.backend, r.name, id, e.n, e.kind.name)
				}
			} else if !bytes.Equal(r.docs[id], doc) {
				t.Errorf("%s/%s has another statement than \"erbd transform\" makes of event %d:\n%s\n%s", r.backend, r.name, e.n, r.docs[id], doc)
			}
		}
	}
	assert.Zero(t, lost, "statements that %s/%s does not have", r.backend, r.name)
	assert.Empty(t, left, "statements at %s/%s that no event made", r.backend, r.name)
	assert.Empty(t, r.changed, "statements at %s/%s that came with another content", r.backend, r.name)
	assert.Zero(t, r.followed.Load(), "redirects of %s/%s that were followed", r.backend, r.name)
}

// figures are the exact counters that events have to give.
type counters struct {
	accepted int
	ends     map[string]int
	settled  map[string]map[string]int // router
}

// expected counts what events have to give in a backend.
func (s *site) expected(backend string, events []*known) counters {
	c := counters{ends: map[string]int{}, settled: map[string]map[string]int{}}
	for _, e := range events {
		c.accepted++
		wanted := 0
		for _, r := range s.routes {
			if r.backend != backend {
				continue
			}
			if c.settled[r.name] == nil {
				c.settled[r.name] = map[string]int{}
			}
			if r.wants(e) {
				wanted++
				c.settled[r.name][e.fate()]++
			}
		}
		if end := e.kind.end; end == "transformed" && wanted == 0 {
			c.ends["unrouted"]++
		} else {
			c.ends[end]++
		}
	}
	return c
}

// balance compares the counters of a daemon between two moments with the events that came in between.
func (s *site) balance(before, after status, events []*known) {
	s.t.Helper()
	for i, b := range after.Backends {
		want := s.expected(b.Name, events)
		was := before.Backends[i]
		assert.Equal(s.t, want.accepted, b.Accepted-was.Accepted, "accepted by %s", b.Name)
		for end, n := range b.Ends {
			assert.Equal(s.t, want.ends[end], n-was.Ends[end], "%s %s", b.Name, end)
		}
		for j, r := range after.Routers {
			if r.Backend != b.Name {
				continue
			}
			was := before.Routers[j]
			got := func(outcome string) int { return r.Settled[outcome] - was.Settled[outcome] }
			settled := want.settled[r.Name]
			assert.Equal(s.t, settled["delivered"], got("delivered")+got("duplicate"), "%s delivered or known", r.Name)
			assert.Equal(s.t, settled["kept"], got("kept"), "%s kept", r.Name)
			assert.Equal(s.t, settled["dropped"], got("dropped"), "%s dropped", r.Name)
			assert.Equal(s.t, settled["delivered"]+settled["kept"]+settled["dropped"], r.Routed-was.Routed, "%s routed", r.Name)
			assert.Equal(s.t, was.Carried, r.Carried, "%s carried", r.Name)
			assert.Zero(s.t, r.Open, "%s open", r.Name)
		}
	}
}
