package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/daemon"
	"github.com/erbd/erbd/engine/filter"
	"github.com/erbd/erbd/engine/lastgood"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/route"
	"github.com/erbd/erbd/engine/store"
	"github.com/erbd/erbd/engine/stream"
)

// filesOf are the files that the settings name.
func filesOf(s *config.Settings) lastgood.Files {
	files := lastgood.Files{Mappings: s.Mappings, Filters: s.Filters, Routers: s.Routers}
	if s.LookupType() == config.LookupFile {
		files.Lookup = s.Lookup.Path
	}
	return files
}

// loadSnapshot reads and compiles everything, with files that the settings name or copies of them. All of it is
// compiled, or nothing is used. The hash does not tell copies from originals.
func (a *app) loadSnapshot(named *config.Settings, files lastgood.Files) (*daemon.Snapshot, error) {
	here := *named
	s := &here
	s.Mappings, s.Filters = files.Mappings, files.Filters
	if s.LookupType() == config.LookupFile {
		s.Lookup.Type, s.Lookup.Path = config.LookupFile, files.Lookup
	}
	directory, failures := a.loadDirectory(s)
	if failures != nil { // the rest is compiled all the same, to tell all faults at once
		var err error
		if directory, err = lookup.NewDirectory(nil, lookup.Options{}); err != nil {
			return nil, joined(failures, err)
		}
	}
	sum := sha256.New()
	named.Fingerprint(sum)
	var backends []daemon.Backend
	add := func(name, logging string, names func() (*filter.Filter, error)) {
		b := daemon.Backend{Name: name, Logging: logging}
		var err error
		if b.Set, err = a.loadMappings(s, name, directory); err != nil {
			failures = joined(failures, err)
			return
		}
		if b.Names, err = names(); err != nil {
			failures = joined(failures, fmt.Errorf("%s: %w", name, err))
			return
		}
		if fsys, err := mappingFiles(s.Mappings, name); err == nil {
			hashFiles(sum, fsys)
		}
		backends = append(backends, b)
	}
	if s.XAPI.Enabled {
		add(backendXAPI, s.XAPI.Logging, s.XAPI.NameFilter)
	}
	if s.Caliper.Enabled {
		add(backendCaliper, s.Caliper.Logging, s.Caliper.NameFilter)
	}
	routers, err := a.parseRouters(s, files.Routers)
	if err = joined(failures, err); err != nil {
		return nil, err
	}
	if s.Filters != "" {
		hashFiles(sum, os.DirFS(s.Filters))
	}
	if files.Lookup != "" {
		hashPath(sum, s.Lookup.Path)
	}
	fmt.Fprintln(sum, routers.Hash())
	a.hashSecrets(sum, s, routers)
	snap := daemon.NewSnapshot(named, backends, routers, hex.EncodeToString(sum.Sum(nil))[:16])
	if kind := s.LookupType(); kind != config.LookupNone && kind != config.LookupFile {
		snap.Lookups = a.sources.Current()
	}
	return snap, nil
}

// hashSecrets hashes what the references to secrets stand for, so that a rotated secret is a change.
func (a *app) hashSecrets(sum hash.Hash, s *config.Settings, routers *route.Set) {
	for _, secret := range []config.Secret{s.Lookup.Secret, s.Lookup.DSN} {
		if value, err := secret.Resolve(a.lookupEnv); err == nil {
			fmt.Fprintf(sum, "%q\n", value)
		}
	}
	for _, r := range routers.All() {
		cfg := r.Delivery("")
		fmt.Fprintf(sum, "%q %q %q %q %q\n", cfg.Auth.Username, cfg.Auth.Password, cfg.Auth.Token, cfg.URL, cfg.Headers)
	}
}

// hashFiles hashes the YAML files of a folder.
func hashFiles(sum hash.Hash, fsys fs.FS) {
	fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // what cannot be read was reported by the load
		if err != nil || d.IsDir() {
			return nil
		}
		if data, err := plainfile.ReadFS(fsys, path); err == nil {
			fmt.Fprintf(sum, "%s %d\n", path, len(data))
			sum.Write(data)
		}
		return nil
	})
}

// hashPath hashes what tells versions of a file or folder apart without reading it: look-up files are large.
func hashPath(sum hash.Hash, path string) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error { //nolint:errcheck // what cannot be read was reported by the load
		if err != nil {
			return nil
		}
		if info, err := os.Stat(p); err == nil { // of what a link leads to
			name, _ := filepath.Rel(path, p) // both start alike
			if d.IsDir() {
				fmt.Fprintln(sum, name)
				return nil
			}
			fmt.Fprintf(sum, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
}

// explain adds hints to the errors of a daemon that does not start.
func explain(err error) error {
	switch {
	case errors.Is(err, stream.ErrLocked):
		return cli.Fail(err, "another erbd serves from this store: stop it, or give this one a store of its own with --nats.store DIR")
	case errors.Is(err, store.ErrDown):
		return cli.Fail(err, "make room on the disk of nats.store, or let erbd write there")
	case errors.Is(err, stream.ErrIncompatible):
		return cli.Fail(err, "the streams belong to another program or an incompatible version: use another store or account")
	}
	return err
}

// loadRouters reads the routers file; without one there are no routers.
func (a *app) loadRouters(s *config.Settings) (*route.Set, error) {
	return a.parseRouters(s, s.Routers)
}

// parseRouters reads a file of routers, or its copy: secrets and messages are those of the file that the settings name.
func (a *app) parseRouters(s *config.Settings, file string) (*route.Set, error) {
	options := route.Options{Batch: s.Batch, Retry: s.Retry, Timeout: s.Timeout, Delivery: &s.Delivery}
	src, name := []byte("{}"), "routers"
	if file != "" {
		var err error
		if src, err = plainfile.Read(file); err != nil {
			return nil, cli.Fail(fmt.Errorf("routers: %w", err), "name the file of the routers: --routers FILE")
		}
		if name = s.Routers; name == "" {
			name = file
		}
	}
	set, faults := route.Parse(name, src, options)
	if faults.HasErrors() {
		return nil, cli.Faulty("the routers", faults)
	}
	if faults := set.Resolve(a.lookupEnv); faults.HasErrors() {
		return nil, cli.Faulty("the routers", faults)
	}
	return set, nil
}
