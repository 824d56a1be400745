package golden

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/fstest"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/plainfile"
)

// Survivor is a change of a mapping that no case notices.
type Survivor struct {
	Pos diag.Position `json:"pos"`
	// Old and New are the text of the file there, before and after.
	Old string `json:"old"`
	New string `json:"new"`
	// What says what kind of change it is.
	What string `json:"what"`
}

// Mutation is the result of Mutate.
type Mutation struct {
	Mutants   int        `json:"mutants"`
	Survivors []Survivor `json:"survivors"`
}

// Mutate changes each literal and each part of each expression of the mappings of a backend, one at a time, and looks
// whether one of the cases fails then. A mapping that no longer compiles counts as noticed. The cases must pass
// before. choose, if not nil, limits the files that are changed.
func Mutate(ctx context.Context, sets *Sets, backend string, cases []*Case, choose func(file string) bool) (*Mutation, error) {
	files, err := sets.Files(backend)
	if err != nil {
		return nil, err
	}
	m := &mutator{ctx: ctx, sets: sets, backend: backend, sources: fstest.MapFS{}}
	for _, c := range cases {
		if c.Backend == backend {
			m.cases = append(m.cases, c)
		}
	}
	if err := m.read(files); err != nil {
		return nil, err
	}
	var mutants []mutant
	for _, name := range m.names {
		if choose == nil || choose(name) {
			mutants = append(mutants, mutantsOf(path.Join(backend, name), name, m.sources[name].Data)...)
		}
	}
	survived := make([]bool, len(mutants))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(mutants)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				survived[i] = m.survives(mutants[i])
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("mutation test: %w", err)
	}
	out := &Mutation{Mutants: len(mutants), Survivors: []Survivor{}}
	for i, mu := range mutants {
		if survived[i] {
			mu.Survivor.Pos = sets.Place(mu.Survivor.Pos)
			out.Survivors = append(out.Survivors, mu.Survivor)
		}
	}
	return out, nil
}

// mutator is read-only while its goroutines run.
type mutator struct {
	ctx     context.Context
	sets    *Sets
	backend string
	sources fstest.MapFS
	names   []string
	extends map[string]string   // file → the file it extends
	events  map[string][]string // file → its events
	cases   []*Case
}

func (m *mutator) read(files fs.FS) error {
	m.extends, m.events = map[string]string{}, map[string][]string{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := plainfile.ReadFS(files, name)
		if err != nil {
			return err
		}
		m.sources[name] = &fstest.MapFile{Data: src}
		if path.Ext(name) == ".yaml" {
			m.names = append(m.names, name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read mappings: %w", err)
	}
	for _, name := range m.names {
		outline := outlineOf(name, m.sources[name].Data)
		if outline.extends != "" {
			m.extends[name] = outline.extends + ".yaml"
		}
		m.events[name] = outline.events
	}
	return nil
}

// survives tells whether all cases pass with a mutant. First only the cases run that the changed file itself maps,
// with that file and its bases alone: that is quick, and nearly always enough.
func (m *mutator) survives(mu mutant) bool {
	family := m.family(mu.file)
	few := fstest.MapFS{}
	var events []string
	for _, name := range family {
		few[name] = m.sources[name]
		events = append(events, m.events[name]...)
	}
	var near []*Case
	for _, c := range m.cases {
		if slices.Contains(events, c.Event) && (c.Settings.Profile == "" || c.Settings.Profile == "compat") && c.Settings.Filters == "" {
			near = append(near, c)
		}
	}
	if few[mu.file] != nil && len(near) > 0 && !m.pass(few, mu, near) {
		return false
	}
	return m.pass(m.sources, mu, m.cases)
}

// family is a file with its bases, or a base with the smallest file on it.
func (m *mutator) family(file string) []string {
	if len(m.events[file]) == 0 {
		best := ""
		for name, base := range m.extends {
			if base == file && len(m.events[name]) > 0 && (best == "" || len(m.sources[name].Data) < len(m.sources[best].Data) || len(m.sources[name].Data) == len(m.sources[best].Data) && name < best) {
				best = name
			}
		}
		if best == "" {
			return nil
		}
		file = best
	}
	list := []string{file}
	for base := m.extends[file]; base != "" && !slices.Contains(list, base); base = m.extends[base] {
		list = append(list, base)
	}
	return list
}

func (m *mutator) pass(files fstest.MapFS, mu mutant, cases []*Case) bool {
	changed := fstest.MapFS{}
	for name, f := range files {
		changed[name] = f
	}
	changed[mu.file] = &fstest.MapFile{Data: mu.source}
	r := runner{
		sets:    &Sets{Version: m.sets.Version, Files: func(string) (fs.FS, error) { return changed, nil }},
		workers: map[*mapping.Set]*mapping.Worker{}, quiet: true,
	}
	for _, c := range cases {
		if res := r.run(m.ctx, c); res.Status != Passed && m.ctx.Err() == nil {
			return false
		}
	}
	return true
}

// mutant is a changed file.
type mutant struct {
	Survivor
	file   string
	source []byte
}

// splice replaces a part of a source.
func splice(src []byte, from, to int, text string) []byte {
	out := make([]byte, 0, len(src)+len(text))
	out = append(append(append(out, src[:from]...), text...), src[to:]...)
	return out
}

// quoteLine is the part of a source as a message shows it.
func quoteLine(s string) string { return shorten(strings.Join(strings.Fields(s), " "), 80) }
