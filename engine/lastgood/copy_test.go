package lastgood

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func yes() bool { return true }

func newFiles(t *testing.T) Files {
	dir := t.TempDir()
	f := Files{Settings: filepath.Join(dir, "s.yaml"), Mappings: filepath.Join(dir, "m"), Filters: filepath.Join(dir, "f"), Routers: filepath.Join(dir, "r.yaml"), Lookup: filepath.Join(dir, "lms.csv")}
	write(t, filepath.Join(f.Mappings, "xapi", "a.yaml"), "a")
	write(t, filepath.Join(f.Mappings, ".git", "b.yaml"), "b")
	write(t, filepath.Join(f.Filters, "..data", "c.yaml"), "c")
	require.NoError(t, os.Symlink(filepath.Join("..data", "c.yaml"), filepath.Join(f.Filters, "c.yaml")))
	write(t, f.Routers, "{}")
	write(t, f.Settings, "log: {}")
	write(t, f.Lookup, "id\n7\n")
	return f
}

func TestSaveAndOpen(t *testing.T) {
	dir, files := filepath.Join(t.TempDir(), "state"), newFiles(t)
	_, err := Open(dir)
	require.ErrorIs(t, err, ErrNone)
	old := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	require.NoError(t, os.Chtimes(files.Lookup, old, old))
	require.NoError(t, Save(dir, files, "one", yes))
	c, err := Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "one", c.Hash)
	assert.WithinDuration(t, time.Now(), c.Time, time.Minute)
	assert.Equal(t, "a", read(t, filepath.Join(c.Files.Mappings, "xapi", "a.yaml")))
	assert.NoDirExists(t, filepath.Join(c.Files.Mappings, ".git"))
	assert.Equal(t, "c", read(t, filepath.Join(c.Files.Filters, "c.yaml")))
	assert.NoDirExists(t, filepath.Join(c.Files.Filters, "..data"))
	assert.Equal(t, "{}", read(t, c.Files.Routers))
	assert.Equal(t, "log: {}", read(t, c.Files.Settings))
	assert.Equal(t, files.Settings, c.Origin)
	assert.Equal(t, "lms.csv", filepath.Base(c.Files.Lookup))
	info, err := os.Stat(c.Files.Lookup)
	require.NoError(t, err)
	assert.True(t, info.ModTime().Equal(old))
	assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	write(t, files.Routers, "{xapi: []}")
	require.ErrorIs(t, Save(dir, files, "two", func() bool { return false }), ErrChanged)
	c, err = Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "one", c.Hash)
	assert.Equal(t, "{}", read(t, c.Files.Routers))

	require.NoError(t, Save(dir, Files{Routers: files.Routers}, "three", yes))
	c, err = Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "three", c.Hash)
	assert.Equal(t, "{xapi: []}", read(t, c.Files.Routers))
	assert.Equal(t, Files{Routers: c.Files.Routers}, c.Files)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "copies before are removed")
}

func TestTooLarge(t *testing.T) {
	dir, files := t.TempDir(), newFiles(t)
	require.NoError(t, os.Truncate(files.Lookup, MaxLookup+1))
	require.NoError(t, Save(dir, files, "one", yes))
	c, err := Open(dir)
	require.NoError(t, err)
	assert.Equal(t, files.Lookup, c.Files.Lookup, "a large look-up file is used where it is")
	require.NoError(t, os.Truncate(files.Routers, MaxFiles+1))
	require.ErrorIs(t, Save(dir, files, "two", yes), ErrTooLarge)
	require.NoError(t, os.Symlink(files.Mappings, filepath.Join(files.Mappings, "loop")))
	require.ErrorIs(t, Save(dir, Files{Mappings: files.Mappings}, "two", yes), ErrTooLarge)
	c, err = Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "one", c.Hash)
}

func TestSaveErrors(t *testing.T) {
	files := newFiles(t)
	require.ErrorIs(t, Save(t.TempDir(), Files{Routers: filepath.Join(t.TempDir(), "none")}, "", yes), fs.ErrNotExist)
	require.Error(t, Save(files.Routers, files, "", yes), "a file is no folder")
}

func TestOpenErrors(t *testing.T) {
	for name, text := range map[string]string{
		"syntax": `{`, "folder": `{"folder":"/etc"}`, "parent": `{"folder":"last-good-1/../../x"}`,
		"outside": `{"folder":"last-good-1","files":{"routers":"../../passwd"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, pointerName), text)
			_, err := Open(dir)
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrNone)
		})
	}
}
