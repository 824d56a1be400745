package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

// The backends.
const (
	backendXAPI    = "xapi"
	backendCaliper = "caliper"
)

// loadDirectory returns the users and courses that the settings name. A source
// on a server is not asked yet, and stays open while its settings are the same.
func (a *app) loadDirectory(s *config.Settings) (*lookup.Directory, error) {
	var users lookup.Source
	switch s.LookupType() {
	case config.LookupNone:
	case config.LookupFile:
		table, err := loadTable(s.Lookup.Path)
		if err != nil {
			return nil, err
		}
		users = table
	default:
		server, err := a.sources.Get(s)
		if err != nil {
			return nil, err
		}
		users = server
		if a.patience > 0 {
			users = &lookup.Patient{Source: server, For: a.patience}
		}
	}
	secret, err := s.Lookup.Secret.Resolve(a.lookupEnv)
	if err != nil {
		return nil, fmt.Errorf("lookup.secret: %w", err)
	}
	return lookup.NewDirectory(users, lookup.Options{
		UnknownUsers: s.Lookup.UnknownUsers, UnknownCourses: s.Lookup.UnknownCourses, Secret: []byte(secret),
		AnonymousUsers: s.Lookup.AnonymousUsers, RetiredUsers: s.Lookup.RetiredUsers, RetiredPrefix: s.Lookup.RetiredPrefix,
	})
}

// loadTable reads a file of users and courses.
func loadTable(path string) (*lookup.Table, error) {
	table, err := lookup.LoadFile(path)
	if faults := diag.FromError(err); len(faults) > 0 {
		return nil, cli.Faulty("the look-up file", faults)
	}
	return table, err
}

// loadMappings compiles the mappings of one backend, those in the folder that
// the settings name or the embedded ones, with profile and filters.
func (a *app) loadMappings(s *config.Settings, backend string, directory *lookup.Directory) (*mapping.Set, error) {
	fsys, err := mappingFiles(s.Mappings, backend)
	if err != nil {
		return nil, err
	}
	opt := mapping.Options{
		Backend: backend, Settings: s.Constants(mappings.Version), Directory: directory, Profile: s.Profile,
	}
	if s.Filters != "" {
		if info, err := os.Stat(s.Filters); err != nil {
			return nil, fmt.Errorf("filters: %w", err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("filters: %s is no folder", s.Filters)
		}
		opt.Filters, opt.FiltersName = os.DirFS(s.Filters), s.Filters
	}
	set, faults := mapping.Load(fsys, opt)
	if faults.HasErrors() {
		return nil, cli.Faulty("the mappings", faults)
	}
	a.warn(faults)
	return set, nil
}

func mappingFiles(dir, backend string) (fs.FS, error) {
	if dir == "" {
		sub, err := fs.Sub(mappings.FS, backend)
		if err == nil {
			_, err = fs.Stat(sub, ".")
		}
		if err != nil {
			return nil, cli.Fail(fmt.Errorf("there are no embedded mappings for %s", backend), "name a folder: --mappings DIR")
		}
		return sub, nil
	}
	sub := filepath.Join(dir, backend)
	info, err := os.Stat(sub)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(dir); err != nil {
			return nil, cli.Fail(fmt.Errorf("mappings: %w", err), `"erbd mappings export DIR" writes the embedded ones`)
		}
		return nil, cli.Fail(fmt.Errorf("mappings: folder %s has no folder %s", dir, backend), `"erbd mappings export DIR" writes the embedded ones in the right places`)
	case err != nil:
		return nil, fmt.Errorf("mappings: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("mappings: %s is no folder", sub)
	}
	return os.DirFS(sub), nil
}
