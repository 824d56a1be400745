package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/filelock"
)

func TestTheLockIsHeldUntilItsFileIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		return f
	}
	first, second := open(), open()
	defer second.Close()
	err := filelock.Try(first)
	if errors.Is(err, filelock.ErrUnsupported) {
		assert.ErrorIs(t, filelock.Try(second), filelock.ErrUnsupported)
		return
	}
	require.NoError(t, err)
	assert.ErrorIs(t, filelock.Try(second), filelock.ErrHeld)
	require.NoError(t, first.Close())
	assert.NoError(t, filelock.Try(second))
}
