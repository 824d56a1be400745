package mapping

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/plainfile"
)

// Options are what a set of mappings is compiled with.
type Options struct {
	// Backend is the folder's backend, such as "xapi"; files for another one are refused.
	Backend string
	// Settings is a JSON object, the constant that expressions see as settings.
	Settings string
	// Directory answers user and course look-ups.
	Directory expr.Directory
	// Profile is a file of the folder's profiles, "strict" for profiles/strict.yaml; "" and "compat" mean none.
	Profile string
	// Filters is a folder of filter files, applied after the profile's; nil means none. FiltersName is how messages
	// name the folder.
	Filters     fs.FS
	FiltersName string
	// Trace keeps apart what is folded otherwise, so that Worker.Trace can tell what each line did. Such a Set gives
	// the same results, slowly; it is for tests of mappings, not for traffic.
	Trace bool
}

// Set is the compiled mappings of one backend. It is immutable and safe for concurrent use.
type Set struct {
	backend   string
	programs  map[string]*program
	directory expr.Directory
	points    *Points // of a Set with Options.Trace
}

// Load reads, checks and compiles all mapping files in the root of fsys. It reports all faults of all files; where
// one of them is an error there is no Set.
func Load(fsys fs.FS, opt Options) (*Set, diag.List) {
	if opt.Settings != "" && (!gjson.Valid(opt.Settings) || !gjson.Parse(opt.Settings).IsObject()) {
		return nil, diag.List{{Severity: diag.Error, Code: "bad-settings", Message: "the settings for expressions are no JSON object"}}
	}
	files, faults := parseFiles(fsys, opt.Backend)
	for _, f := range files {
		faults = append(faults, f.resolve(files)...)
	}
	unread := slices.ContainsFunc(files, func(f *file) bool { return f.broken || f.doubtful })
	c := newCompiler(opt)
	rules, list := loadFilters(fsys, opt)
	c.rules, faults = rules, append(faults, list...)
	set := &Set{backend: opt.Backend, programs: map[string]*program{}, directory: opt.Directory}
	owners := map[string]eventEntry{}
	for _, f := range files {
		// The events of a file that is not enabled are compiled for their faults only.
		enabled := c.enabled(f)
		for _, ev := range f.events {
			if other, taken := owners[ev.name]; taken && enabled {
				if other.key.Pos().File == ev.key.Pos().File {
					continue // a duplicate key, and reported as such
				}
				faults = append(faults, ev.key.Diag(diag.Error, "duplicate-event", "", "the event %q is mapped at %s already", ev.name, other.key.Pos()))
				continue
			}
			if enabled {
				owners[ev.name] = ev
			}
			if f.broken {
				continue
			}
			if p := c.program(f, ev); enabled {
				set.programs[ev.name] = p
			}
		}
		c.unreached(f)
	}
	c.rest(files)
	set.points = c.points
	if !unread {
		c.unbound(files)
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

// loadFilters reads the profile of the folder and the operator's own filters.
func loadFilters(fsys fs.FS, opt Options) (rules []*filterRule, faults diag.List) {
	if opt.Profile != "" && opt.Profile != DefaultProfile {
		name := path.Join("profiles", opt.Profile+".yaml")
		src, err := plainfile.ReadFS(fsys, name)
		if err != nil {
			d := &diag.Diagnostic{Severity: diag.Error, Code: "unknown-profile", Message: fmt.Sprintf("the %s mappings have no profile %q", opt.Backend, opt.Profile), Err: err}
			if known := profiles(fsys); len(known) > 0 {
				d.Hint = "there are " + strings.Join(known, ", ")
			}
			return nil, diag.List{d}
		}
		rules, faults = parseFilterFile(path.Join(opt.Backend, name), src, opt.Backend)
	}
	if opt.Filters != nil {
		list, f := parseFilters(opt.Filters, opt.FiltersName, opt.Backend)
		rules, faults = append(rules, list...), append(faults, f...)
	}
	return rules, faults
}

// profiles are the names of the profiles that a folder of mappings has.
func profiles(fsys fs.FS) []string {
	names := []string{DefaultProfile}
	files, _ := fs.Glob(fsys, "profiles/*.yaml") // the pattern is well-formed
	for _, name := range files {
		names = append(names, strings.TrimSuffix(path.Base(name), ".yaml"))
	}
	return names
}

// DefaultProfile is the profile without filters: output equal to the reference.
const DefaultProfile = "compat"

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
