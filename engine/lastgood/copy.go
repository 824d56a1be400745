package lastgood

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Errors of this package; test for them with errors.Is.
var (
	// ErrNone: nothing is remembered in the folder.
	ErrNone = errors.New("no configuration is remembered")
	// ErrTooLarge: the files are larger than what is remembered.
	ErrTooLarge = errors.New("too large to be remembered")
	// ErrChanged: the files changed while they were copied.
	ErrChanged = errors.New("the files changed while they were copied")
)

// The most that is remembered, in bytes.
const (
	// MaxFiles bounds settings, mappings, filters and routers, each of them.
	MaxFiles = 16 << 20
	// MaxLookup bounds the file of users and courses.
	MaxLookup = 32 << 20
)

// Files are the paths of a configuration; "" where there is none.
type Files struct {
	// Settings is a file; the relative paths in it start where the original is, [Copy.Origin].
	Settings string `json:"settings,omitempty"`
	// Mappings and Filters are folders, Routers a file, Lookup a file or a folder.
	Mappings string `json:"mappings,omitempty"`
	Filters  string `json:"filters,omitempty"`
	Routers  string `json:"routers,omitempty"`
	Lookup   string `json:"lookup,omitempty"`
}

// Copy is a configuration that is remembered.
type Copy struct {
	// Files are the copies. Lookup is the path of the original where that was too large.
	Files Files
	// Origin is the absolute path of the settings that were copied; "" where there were none.
	Origin string
	// Hash is what Save got.
	Hash string
	// Time is that of Save, in UTC.
	Time time.Time
}

// The names in the folder of the state.
const (
	pointerName = "last-good.json"
	copyPrefix  = "last-good-"
)

// pointer is the content of the file that names the copy. Its paths are relative to the copy's folder, but for a
// look-up file that was not copied.
type pointer struct {
	Folder string    `json:"folder"`
	Hash   string    `json:"hash"`
	Time   time.Time `json:"time"`
	Origin string    `json:"origin,omitempty"`
	Files  Files     `json:"files"`
}

// Open returns what Save has remembered in a folder. Errors: ErrNone, and those of reading.
func Open(dir string) (*Copy, error) {
	data, err := os.ReadFile(filepath.Join(dir, pointerName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("read the remembered configuration: %w", err)
	}
	var p pointer
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read the remembered configuration: %s: %w", pointerName, err)
	}
	if !strings.HasPrefix(p.Folder, copyPrefix) || p.Folder != filepath.Base(p.Folder) {
		return nil, fmt.Errorf("read the remembered configuration: %s names no folder of a copy", pointerName)
	}
	c := &Copy{Files: p.Files, Origin: p.Origin, Hash: p.Hash, Time: p.Time}
	for _, path := range []*string{&c.Files.Settings, &c.Files.Mappings, &c.Files.Filters, &c.Files.Routers, &c.Files.Lookup} {
		if *path != "" && !filepath.IsAbs(*path) {
			if !filepath.IsLocal(*path) {
				return nil, fmt.Errorf("read the remembered configuration: %s names a file outside of the copy", pointerName)
			}
			*path = filepath.Join(dir, p.Folder, *path)
		}
	}
	return c, nil
}

// Save remembers files under a hash, in place of what was remembered in the folder before. unchanged is asked when all
// is copied: with false nothing is remembered. Errors: ErrTooLarge for all but look-ups, ErrChanged, and
// those of the file system; what was remembered before then stays. It must not run twice at a time for a folder.
func Save(dir string, files Files, hash string, unchanged func() bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("remember the configuration: %w", err)
	}
	tmp, err := os.MkdirTemp(dir, copyPrefix)
	if err != nil {
		return fmt.Errorf("remember the configuration: %w", err)
	}
	if err := save(dir, tmp, files, hash, unchanged); err != nil {
		_ = os.RemoveAll(tmp) // the next Save removes what is left
		return fmt.Errorf("remember the configuration: %w", err)
	}
	sweep(dir, filepath.Base(tmp))
	return nil
}

func save(dir, folder string, files Files, hash string, unchanged func() bool) error {
	p := pointer{Folder: filepath.Base(folder), Hash: hash, Time: time.Now().UTC().Truncate(time.Second)}
	if files.Settings != "" {
		var err error
		if p.Origin, err = filepath.Abs(files.Settings); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		from string
		to   *string
		name string
	}{{files.Settings, &p.Files.Settings, "settings.yaml"}, {files.Mappings, &p.Files.Mappings, "mappings"}, {files.Filters, &p.Files.Filters, "filters"}, {files.Routers, &p.Files.Routers, "routers.yaml"}} {
		if f.from == "" {
			continue
		}
		left := int64(MaxFiles)
		if err := copyTree(filepath.Join(folder, f.name), f.from, maxDepth, &left); err != nil {
			return err
		}
		*f.to = f.name
	}
	var err error
	if p.Files.Lookup, err = saveLookup(folder, files.Lookup); err != nil {
		return err
	}
	if !unchanged() {
		return ErrChanged
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	temporary := filepath.Join(folder, pointerName)
	if err := writeFile(temporary, append(data, '\n')); err != nil {
		return err
	}
	for _, d := range []string{folder, dir} { // what the pointer names is on the disk before it is
		if err := syncFolder(d); err != nil {
			return err
		}
	}
	if err := os.Rename(temporary, filepath.Join(dir, pointerName)); err != nil {
		return err
	}
	return syncFolder(dir)
}

// saveLookup copies the look-ups into a folder of their own, as their name says their form. It returns their path in the
// copy, or that of the original where it is too large.
func saveLookup(folder, original string) (string, error) {
	if original == "" {
		return "", nil
	}
	own := filepath.Join(folder, "lookup")
	if err := os.Mkdir(own, 0o700); err != nil {
		return "", err
	}
	left := int64(MaxLookup)
	err := copyTree(filepath.Join(own, filepath.Base(original)), original, maxDepth, &left)
	if errors.Is(err, ErrTooLarge) {
		if err := os.RemoveAll(own); err != nil {
			return "", err
		}
		return filepath.Abs(original)
	}
	return filepath.Join("lookup", filepath.Base(original)), err
}

// sweep removes the copies that nothing names any more.
func sweep(dir, keep string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the next one does it
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), copyPrefix) && e.Name() != keep {
			_ = os.RemoveAll(filepath.Join(dir, e.Name())) // the next one tries again
		}
	}
}
