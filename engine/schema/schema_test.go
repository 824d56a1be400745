package schema_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/schema"
)

var update = flag.Bool("update", false, "write the shipped schemas anew")

// TestShipped holds the shipped schemas against the Go types.
func TestShipped(t *testing.T) {
	for _, kind := range schema.Kinds() {
		want, err := schema.Generate(kind)
		require.NoError(t, err)
		require.True(t, json.Valid(want), kind)
		file := filepath.Join("..", "..", "schemas", schema.FileName(kind))
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, want, 0o644))
		}
		have, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(have), "%s is out of date: \"mapcheck schema --dir schemas\" writes it", file)
	}
}

func TestUnknownKind(t *testing.T) {
	_, err := schema.Generate("nonsense")
	assert.EqualError(t, err, `there is no schema for "nonsense": use one of case, filters, mapping, routers, settings`)
}
