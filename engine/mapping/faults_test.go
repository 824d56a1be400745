package mapping_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/mapping"
)

var update = flag.Bool("update", false, "write the expected output of golden tests anew")

// TestFaults loads each folder of testdata/faults and compares all that is reported with its want.txt. A folder may
// have filters/, and profile.txt with the name of a profile.
func TestFaults(t *testing.T) {
	dirs, err := filepath.Glob("testdata/faults/*")
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			opt := mapping.Options{Backend: "xapi", Settings: `{"root":"https://lms.example","depth":3}`, Directory: people{}}
			if _, err := os.Stat(filepath.Join(dir, "filters")); err == nil {
				opt.Filters, opt.FiltersName = os.DirFS(filepath.Join(dir, "filters")), "filters"
			}
			if profile, err := os.ReadFile(filepath.Join(dir, "profile.txt")); err == nil {
				opt.Profile = strings.TrimSpace(string(profile))
			}
			set, faults := mapping.Load(os.DirFS(dir), opt)
			require.Nil(t, set)
			sameAs(t, filepath.Join(dir, "want.txt"), faults.Render()+"\n")

			// Tracing compiles otherwise, but what is wrong stays wrong.
			opt.Trace = true
			set, _ = mapping.Load(os.DirFS(dir), opt)
			if !strings.HasPrefix(filepath.Base(dir), "alternatives") {
				require.Nil(t, set)
			}
		})
	}
}

// sameAs compares with a file, which -update writes.
func sameAs(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestSettingsMustBeAnObject(t *testing.T) {
	for _, settings := range []string{`{`, `[]`, `1`, `text`} {
		set, faults := mapping.Load(os.DirFS("testdata/faults/profile"), mapping.Options{Backend: "xapi", Settings: settings})
		require.Nil(t, set)
		require.Equal(t, "the settings for expressions are no JSON object", faults.Render())
	}
}

func TestUnreadableFolders(t *testing.T) {
	_, faults := mapping.Load(os.DirFS(filepath.Join(t.TempDir(), "missing")), mapping.Options{Backend: "xapi"})
	require.Len(t, faults, 1)
	require.ErrorIs(t, faults.Err(), os.ErrNotExist)
}
