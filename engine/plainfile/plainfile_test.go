//go:build unix

package plainfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/plainfile"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("plain"), []byte("text"), 0o600))
	require.NoError(t, os.WriteFile(at("empty"), nil, 0o600))
	require.NoError(t, os.Mkdir(at("folder"), 0o700))
	require.NoError(t, syscall.Mkfifo(at("pipe"), 0o600))
	require.NoError(t, os.Symlink("plain", at("link")))
	require.NoError(t, os.Symlink("pipe", at("link-to-pipe")))
	require.NoError(t, os.Symlink("/dev/zero", at("device")))
	require.NoError(t, os.Symlink("loop", at("loop")))
	for name, size := range map[string]int64{"large": plainfile.MaxSize, "too-large": plainfile.MaxSize + 1} {
		require.NoError(t, os.WriteFile(at(name), nil, 0o600))
		require.NoError(t, os.Truncate(at(name), size))
	}
	tests := []struct {
		name string
		size int
		err  error
	}{
		{"plain", 4, nil}, {"empty", 0, nil}, {"link", 4, nil}, {"large", plainfile.MaxSize, nil},
		{"too-large", 0, plainfile.ErrTooLarge},
		{"pipe", 0, plainfile.ErrNotRegular}, {"link-to-pipe", 0, plainfile.ErrNotRegular}, {"device", 0, plainfile.ErrNotRegular},
		{"folder", 0, syscall.EISDIR}, {"loop", 0, syscall.ELOOP}, {"none", 0, fs.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for how, read := range map[string]func() ([]byte, error){
				"path":        func() ([]byte, error) { return plainfile.Read(at(tt.name)) },
				"file system": func() ([]byte, error) { return plainfile.ReadFS(os.DirFS(dir), tt.name) },
			} {
				b, err := read()
				require.ErrorIs(t, err, tt.err, how)
				require.Len(t, b, tt.size, how)
				if err != nil {
					require.Contains(t, err.Error(), tt.name, how)
				}
			}
		})
	}
}
