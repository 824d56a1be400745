package golden

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
)

// Sets compiles mappings for settings, each combination once. It is safe for concurrent use.
type Sets struct {
	// Files gives the mapping files of a backend.
	Files func(backend string) (fs.FS, error)
	// Folder stands before the files of the mappings in positions, such as "mappings"; it may be empty.
	Folder string
	// Version is the version of the mapping set.
	Version string

	mu          sync.Mutex
	sets        map[setKey]*loadedSet
	directories map[directoryKey]*loadedDirectory
}

type setKey struct {
	backend, constants, profile, filters string
	directory                            directoryKey
	trace                                bool
}

type directoryKey struct{ path, users, courses string }

type loadedSet struct {
	once   sync.Once
	set    *mapping.Set
	faults diag.List
	err    error
}

type loadedDirectory struct {
	once      sync.Once
	directory *lookup.Directory
	err       error
}

// Get returns the mappings of a backend, compiled for settings. Faults of the mappings come as diagnostics, with no
// Set if one of them is an error; the error is about everything else.
func (s *Sets) Get(backend string, c *config.Settings, trace bool) (*mapping.Set, diag.List, error) {
	key := setKey{backend, c.Constants(s.Version), c.Profile, c.Filters, directoryKey{c.Lookup.Path, c.Lookup.UnknownUsers, c.Lookup.UnknownCourses}, trace}
	s.mu.Lock()
	if s.sets == nil {
		s.sets, s.directories = map[setKey]*loadedSet{}, map[directoryKey]*loadedDirectory{}
	}
	l, ok := s.sets[key]
	if !ok {
		l = &loadedSet{}
		s.sets[key] = l
	}
	d, ok := s.directories[key.directory]
	if !ok {
		d = &loadedDirectory{}
		s.directories[key.directory] = d
	}
	s.mu.Unlock()
	d.once.Do(func() { d.directory, d.err = openDirectory(key.directory) })
	if d.err != nil {
		return nil, nil, d.err
	}
	l.once.Do(func() { l.load(s, key, d.directory) })
	return l.set, l.faults, l.err
}

func (l *loadedSet) load(s *Sets, key setKey, directory *lookup.Directory) {
	files, err := s.Files(key.backend)
	if err != nil {
		l.err = err
		return
	}
	opt := mapping.Options{Backend: key.backend, Settings: key.constants, Directory: directory, Profile: key.profile, Trace: key.trace}
	if key.filters != "" {
		if _, err := os.Stat(key.filters); err != nil {
			l.err = fmt.Errorf("filters: %w", err)
			return
		}
		opt.Filters, opt.FiltersName = os.DirFS(key.filters), key.filters
	}
	l.set, l.faults = mapping.Load(files, opt)
	for _, d := range l.faults {
		d.Pos, d.End = s.Place(d.Pos), s.Place(d.End)
	}
}

// Place is a position of a mapping as a user finds it: with the folder of the mappings before the file.
func (s *Sets) Place(p diag.Position) diag.Position {
	if s.Folder != "" && p.File != "" && !strings.HasPrefix(p.File, s.Folder+"/") && isBackendPath(p.File) {
		p.File = path.Join(s.Folder, p.File)
	}
	return p
}

// isBackendPath tells mapping files (xapi/video.yaml) from those of filters, which have their own folder.
func isBackendPath(file string) bool {
	return strings.HasPrefix(file, "xapi/") || strings.HasPrefix(file, "caliper/")
}

func openDirectory(key directoryKey) (*lookup.Directory, error) {
	var source lookup.Source
	if key.path != "" {
		table, err := lookup.LoadFile(key.path)
		if err != nil {
			return nil, err
		}
		source = table
	}
	return lookup.NewDirectory(source, lookup.Options{UnknownUsers: key.users, UnknownCourses: key.courses})
}
