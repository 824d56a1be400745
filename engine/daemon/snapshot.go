package daemon

import (
	"time"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/filter"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/route"
)

// Snapshot is everything that can change while the daemon runs, compiled. It is immutable: an event sees one
// snapshot from its beginning to its end.
type Snapshot struct {
	Settings *config.Settings
	// Backends are the enabled ones.
	Backends []Backend
	// Routers are resolved.
	Routers *route.Set
	// Hash tells snapshots apart by the content of their files.
	Hash string
	// Lookups is the source of users and courses where it is on a server, shown in status and metrics; nil where
	// there is none.
	Lookups Lookups
	// Removed are routers that left the file before the start; they deliver what waits for them. Only those of the
	// first snapshot count.
	Removed []*route.Router
	// Restart are the settings that changed but need a restart; the snapshot has the values before.
	Restart []string
	// Fault, where set, is why this is not made of the files as they are but of a copy that was remembered at the
	// time Remembered. Only the first snapshot can be such a one.
	Fault      error
	Remembered time.Time

	critical map[string]bool
}

// Lookups is a cached source of users and courses on a server; *source.Source is one.
type Lookups interface {
	// Err is why look-ups fail now, nil while they do not.
	Err() error
	// Stats are the counts of the cache.
	Stats() (users, courses lookup.CacheStats)
}

// Backend is the transformation to one kind of statements.
type Backend struct {
	Name string
	// Set are the mappings.
	Set *mapping.Set
	// Names says which event names are let through.
	Names *filter.Filter
	// Logging is where all statements are logged: off, stdout or a file.
	Logging string
}

// NewSnapshot puts the parts together.
func NewSnapshot(s *config.Settings, backends []Backend, routers *route.Set, hash string) *Snapshot {
	snap := &Snapshot{Settings: s, Backends: backends, Routers: routers, Hash: hash, critical: map[string]bool{}}
	for _, name := range s.Critical {
		snap.critical[name] = true
	}
	return snap
}

func (s *Snapshot) backend(name string) *Backend {
	for i := range s.Backends {
		if s.Backends[i].Name == name {
			return &s.Backends[i]
		}
	}
	return nil
}

func (s *Snapshot) backendNames() []string {
	names := make([]string, len(s.Backends))
	for i := range s.Backends {
		names[i] = s.Backends[i].Name
	}
	return names
}

func (s *Snapshot) limits() event.Limits {
	return event.Limits{MaxBytes: int(s.Settings.Limits.EventBytes), MaxDepth: s.Settings.Limits.EventDepth}
}
