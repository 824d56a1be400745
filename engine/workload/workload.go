// Package workload makes the events of a busy site, in the mix that a site with many courses has, for measurements.
// The events are those of the golden cases: of each event name the largest that becomes a statement.
package workload

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/yamldoc"
	"github.com/erbd/erbd/golden"
)

// ErrCases: the golden cases do not hold the events of the mix.
var ErrCases = errors.New("the golden cases do not hold the events of the mix")

// Share is the part of one kind of event in a mix.
type Share struct {
	// Name of the event; Source is browser or server where the mix tells them apart, else empty.
	Name, Source string
	// Weight is the number of events of this kind among Total.
	Weight int
	// Event is the event as it stands in its case: one JSON object.
	Event []byte

	before, after []byte // what stands around the timestamp
}

// String returns the name, with the source where there is one.
func (s Share) String() string {
	if s.Source == "" {
		return s.Name
	}
	return s.Name + " (" + s.Source + ")"
}

// main are the kinds of events that make up most of the mix, in thousandths. All other mapped events share the rest
// evenly.
var main = []Share{
	{Name: "edx.grades.course.grade_calculated", Weight: 200},
	{Name: "play_video", Weight: 140},
	{Name: "edx.ui.lms.sequence.next_selected", Weight: 125},
	{Name: "problem_check", Source: "browser", Weight: 99},
	{Name: "problem_check", Source: "server", Weight: 95},
	{Name: "pause_video", Weight: 89},
	{Name: "load_video", Weight: 71},
	{Name: "complete_video", Weight: 51},
	{Name: "seek_video", Weight: 51},
	{Name: "stop_video", Weight: 37},
}

// Mix is an endless row of events. It is read-only and safe for concurrent use.
type Mix struct {
	shares []Share
	order  []int // indexes of shares
}

// Load makes the mix. Its error wraps ErrCases.
func Load() (*Mix, error) { return load(golden.FS) }

func load(cases fs.FS) (*Mix, error) {
	best, err := events(cases)
	if err != nil {
		return nil, err
	}
	m := &Mix{}
	rest := 1000
	for _, s := range main {
		key := s.String()
		if s.Event = best[key]; s.Event == nil && s.Source == "" {
			// Any source will do.
			for _, source := range []string{"server", "browser"} {
				key = Share{Name: s.Name, Source: source}.String()
				if s.Event = best[key]; s.Event != nil {
					break
				}
			}
		}
		if s.Event == nil {
			return nil, fmt.Errorf("%w: %s", ErrCases, s)
		}
		rest -= s.Weight
		m.shares = append(m.shares, s)
	}
	others := map[string][]byte{}
	for key, ev := range best {
		name := gjson.GetBytes(ev, "name").Str
		if name == "" {
			name, _, _ = strings.Cut(key, " ")
		}
		known := slices.ContainsFunc(main, func(s Share) bool { return s.Name == name })
		if !known && len(ev) > len(others[name]) {
			others[name] = ev
		}
	}
	if len(others) == 0 {
		return nil, fmt.Errorf("%w: there are no others", ErrCases)
	}
	for i := range m.shares { // so that the others, each once, make up the rest
		m.shares[i].Weight *= len(others)
	}
	for name, ev := range others {
		m.shares = append(m.shares, Share{Name: name, Weight: rest, Event: ev})
	}
	slices.SortFunc(m.shares[len(main):], func(a, b Share) int { return cmp.Compare(a.Name, b.Name) })
	for i := range m.shares {
		s := &m.shares[i]
		at := gjson.GetBytes(s.Event, "timestamp")
		s.before, s.after = s.Event[:at.Index+1], s.Event[at.Index+len(at.Raw)-1:]
		for range s.Weight {
			m.order = append(m.order, i)
		}
	}
	r := rand.New(rand.NewPCG(1, 2)) // the same row each time
	r.Shuffle(len(m.order), func(i, j int) { m.order[i], m.order[j] = m.order[j], m.order[i] })
	return m, nil
}

// events returns the largest event of each name and source that becomes a statement.
func events(cases fs.FS) (map[string][]byte, error) {
	best := map[string][]byte{}
	err := fs.WalkDir(cases, "xapi", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		src, err := fs.ReadFile(cases, path)
		if err != nil {
			return err
		}
		doc, faults := yamldoc.Parse(path, src)
		if err := faults.Err(); err != nil {
			return err
		}
		ev, expect := doc.Root.Get("event"), doc.Root.Get("expect")
		if ev == nil || ev.Kind != yamldoc.Mapping || expect == nil || expect.Kind != yamldoc.Sequence || doc.Root.Get("settings") != nil {
			return nil // a line of a log, a rejection, or other settings
		}
		line := ev.AppendJSON(nil)
		event := gjson.ParseBytes(line)
		// The number of an event replaces its timestamp, and is looked for in the statement.
		if at := event.Get("timestamp"); at.Type != gjson.String || expect.Items[0].Get("timestamp") == nil {
			return nil
		}
		key := Share{Name: event.Get("name").Str, Source: event.Get("context.event_source").Str}.String()
		if len(line) > len(best[key]) {
			best[key] = line
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCases, err)
	}
	return best, nil
}

// Shares lists what the mix is made of, the frequent ones first. It is not to be changed.
func (m *Mix) Shares() []Share { return m.shares }

// Total is the sum of the weights: after so many events the row begins anew, with other timestamps.
func (m *Mix) Total() int { return len(m.order) }

// Append appends event n of the row, one JSON object on one line, whose timestamp is that of n.
func (m *Mix) Append(dst []byte, n uint64) []byte {
	s := &m.shares[m.order[n%uint64(len(m.order))]]
	dst = append(dst, s.before...)
	dst = appendTime(dst, n)
	return append(dst, s.after...)
}
