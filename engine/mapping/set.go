package mapping

import (
	"io/fs"
	"slices"
	"sort"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
)

// Options are what a set of mappings is compiled with.
type Options struct {
	// Backend is the folder's backend, such as "xapi"; files for another one are refused.
	Backend string
	// Settings is a JSON object, the constant that expressions see as settings.
	Settings string
	// Directory answers user and course look-ups.
	Directory expr.Directory
}

// Set is the compiled mappings of one backend. It is immutable and safe for concurrent use.
type Set struct {
	backend   string
	programs  map[string]*program
	directory expr.Directory
}

// Load reads, checks and compiles all mapping files in the root of fsys. It reports all faults of all files; where
// one of them is an error there is no Set.
func Load(fsys fs.FS, opt Options) (*Set, diag.List) {
	files, faults := parseFiles(fsys, opt.Backend)
	for _, f := range files {
		faults = append(faults, f.resolve(files)...)
	}
	c := newCompiler(opt)
	set := &Set{backend: opt.Backend, programs: map[string]*program{}, directory: opt.Directory}
	owners := map[string]eventEntry{}
	for _, f := range files {
		for _, ev := range f.events {
			if other, taken := owners[ev.name]; taken {
				faults = append(faults, ev.key.Diag(diag.Error, "duplicate-event", "", "the event %q is mapped at %s already", ev.name, other.key.Pos()))
				continue
			}
			owners[ev.name] = ev
			set.programs[ev.name] = c.program(f, ev)
		}
	}
	faults = append(faults, c.faults...)
	if len(files) == 0 && !faults.HasErrors() {
		faults = append(faults, &diag.Diagnostic{Severity: diag.Error, Code: "no-mappings", Message: "the folder of the " + opt.Backend + " mappings has no *.yaml files",
			Hint: "\"erbd mappings export DIR\" writes the shipped ones"})
	}
	faults = distinct(faults)
	faults.Sort()
	if faults.HasErrors() {
		return nil, faults
	}
	return set, faults
}

// distinct drops the faults that one line causes several times, as every event and file that shares it is compiled.
func distinct(faults diag.List) diag.List {
	seen := map[string]bool{}
	return slices.DeleteFunc(faults, func(d *diag.Diagnostic) bool {
		key := d.Pos.String() + "\x00" + d.Message
		dup := seen[key]
		seen[key] = true
		return dup
	})
}

// Backend is the name of the backend.
func (s *Set) Backend() string { return s.backend }

// Names lists the mapped event names, sorted.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.programs))
	for name := range s.programs {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Has tells whether an event name is mapped.
func (s *Set) Has(name string) bool { return s.programs[name] != nil }
