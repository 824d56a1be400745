package golden

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/mapping"
)

// Coverage is what cases reach of the mappings of a backend.
type Coverage struct {
	Backend string `json:"backend"`
	// Events counts the mapped events that become statements in some case.
	Events Ratio `json:"events"`
	// MissingEvents are the others.
	MissingEvents []string       `json:"missing_events"`
	Total         FileCoverage   `json:"total"`
	Files         []FileCoverage `json:"files"`
}

// FileCoverage is what cases reach of one file.
type FileCoverage struct {
	File string `json:"file"`
	// Fields are the literals and expressions that had a value in some case.
	Fields Ratio `json:"fields"`
	// Alternatives are those taken in some case.
	Alternatives Ratio `json:"alternatives"`
	// Branches are the sides of ? : and the ways through && and ||.
	Branches Ratio     `json:"branches"`
	Missing  []Missing `json:"missing"`
}

// Missing is a place that no case reaches.
type Missing struct {
	// Kind is field, alternative or branch.
	Kind string        `json:"kind"`
	Pos  diag.Position `json:"pos"`
	Text string        `json:"text"`
}

// Ratio counts what is reached.
type Ratio struct {
	Reached int `json:"reached"`
	All     int `json:"all"`
}

// Percent is the share that is reached; 100 only where all is, or where there is nothing to reach.
func (r Ratio) Percent() float64 {
	if r.All == 0 {
		return 100
	}
	return 100 * float64(r.Reached) / float64(r.All)
}

// String is the ratio as a table shows it.
func (r Ratio) String() string {
	if r.All == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d %.1f %%", r.Reached, r.All, float64(int(r.Percent()*10))/10)
}

func (r *Ratio) count(reached bool) {
	r.All++
	if reached {
		r.Reached++
	}
}

func (r *Ratio) add(o Ratio) {
	r.Reached += o.Reached
	r.All += o.All
}

type branchKey struct {
	pos  diag.Position
	kind string
}

// hits is what the cases of a backend reached.
type hits struct {
	fields, alternatives map[diag.Position]bool
	branches             map[branchKey]bool
	events               map[string]bool
	sets                 []*mapping.Set
}

// Cover runs the cases of a backend line by line. The error is one of the mappings or their settings.
func Cover(ctx context.Context, sets *Sets, backend string, cases []*Case) (*Coverage, error) {
	h := &hits{map[diag.Position]bool{}, map[diag.Position]bool{}, map[branchKey]bool{}, map[string]bool{}, nil}
	r := runner{sets: sets}
	workers := map[*mapping.Set]*mapping.Worker{}
	for _, c := range cases {
		if c.Backend != backend {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		set, err := r.set(c, true)
		if err != nil {
			_, faults, _ := sets.Get(backend, c.Settings, true)
			if list := faults.Err(); list != nil {
				return nil, list
			}
			return nil, err
		}
		w := workers[set]
		if w == nil {
			w = set.NewWorker()
			workers[set] = w
			h.sets = append(h.sets, set)
		}
		ev, err := r.parser.Parse(c.Line)
		if err != nil {
			return nil, fmt.Errorf("%s: event: %w", c.Name, err)
		}
		result, trace := w.Trace(ctx, ev)
		h.record(ev.Name, result, trace)
	}
	return h.coverage(sets, backend), nil
}

func (h *hits) record(name string, result mapping.Result, t *mapping.Trace) {
	if result.Outcome == mapping.Transformed {
		h.events[name] = true
		h.alternatives[t.Alternative] = true
	}
	for _, s := range t.Steps {
		if s.Failure == nil && (s.JSON != "null" || s.Field.Literal) {
			h.fields[s.Field.Pos] = true
		}
	}
	for _, b := range t.Branches {
		h.branches[branchKey{b.Pos, b.Kind}] = true
	}
}

func (h *hits) coverage(sets *Sets, backend string) *Coverage {
	c := &Coverage{Backend: backend, MissingEvents: []string{}}
	files := map[string]*FileCoverage{}
	file := func(p diag.Position) *FileCoverage {
		f := files[p.File]
		if f == nil {
			f = &FileCoverage{File: sets.Place(diag.Position{File: p.File}).File, Missing: []Missing{}}
			files[p.File] = f
		}
		return f
	}
	miss := func(f *FileCoverage, kind string, p diag.Position, text string) {
		f.Missing = append(f.Missing, Missing{kind, sets.Place(p), text})
	}
	seen, seenEvents := map[branchKey]bool{}, map[string]bool{}
	for _, set := range h.sets {
		for _, name := range set.Names() {
			if !seenEvents[name] {
				seenEvents[name] = true
				c.Events.count(h.events[name])
				if !h.events[name] {
					c.MissingEvents = append(c.MissingEvents, name)
				}
			}
		}
		points := set.Points()
		for _, p := range points.Fields {
			if key := (branchKey{p.Pos, "field"}); !seen[key] {
				seen[key] = true
				f := file(p.Pos)
				f.Fields.count(h.fields[p.Pos])
				if !h.fields[p.Pos] {
					miss(f, "field", p.Pos, p.Path+": "+oneLine(p.Source))
				}
			}
		}
		for _, p := range points.Alternatives {
			if key := (branchKey{p.Pos, "alternative"}); !seen[key] {
				seen[key] = true
				f := file(p.Pos)
				f.Alternatives.count(h.alternatives[p.Pos])
				if !h.alternatives[p.Pos] {
					miss(f, "alternative", p.Pos, p.Name)
				}
			}
		}
		for _, p := range points.Branches {
			if key := (branchKey{p.Pos, p.Kind}); !seen[key] {
				seen[key] = true
				f := file(p.Pos)
				f.Branches.count(h.branches[key])
				if !h.branches[key] {
					miss(f, "branch", p.Pos, p.Kind)
				}
			}
		}
	}
	for _, f := range files {
		sort.SliceStable(f.Missing, func(i, j int) bool { return f.Missing[i].Pos.Compare(f.Missing[j].Pos) < 0 })
		c.Files = append(c.Files, *f)
		c.Total.Fields.add(f.Fields)
		c.Total.Alternatives.add(f.Alternatives)
		c.Total.Branches.add(f.Branches)
	}
	slices.SortFunc(c.Files, func(a, b FileCoverage) int { return strings.Compare(a.File, b.File) })
	c.Total.File, c.Total.Missing = "total", []Missing{}
	return c
}

// WriteText writes a table of the files and the places that are missed.
func (c *Coverage) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%s\tfields\talternatives\tbranches\t\n", c.Backend)
	for _, f := range append(slices.Clone(c.Files), c.Total) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", f.File, f.Fields, f.Alternatives, f.Branches)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "events: %s\n", c.Events)
	for _, name := range c.MissingEvents {
		fmt.Fprintf(&b, "event not covered: %s\n", name)
	}
	for _, f := range c.Files {
		for _, m := range f.Missing {
			fmt.Fprintf(&b, "%s: %s not covered: %s\n", m.Pos, m.Kind, shorten(m.Text, 120))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteCoverageJSON writes the coverage of backends as a JSON list.
func WriteCoverageJSON(w io.Writer, list []*Coverage) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}
