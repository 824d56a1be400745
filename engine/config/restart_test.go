package config

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func loadText(t *testing.T, text string) *Settings {
	t.Helper()
	file := filepath.Join(t.TempDir(), "erbd.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	s, faults := Load(Sources{File: file})
	require.NoError(t, faults.Err())
	return s
}

func TestPin(t *testing.T) {
	running := loadText(t, "nats: {token: \"${env:ONE}\", listen: '127.0.0.1:1'}\nlog: {level: info}\nlms: {root_url: https://a}")
	s := loadText(t, "nats: {token: \"${env:TWO}\"}\nlog: {level: debug}\nstate: off\ncaliper: {enabled: true}\nlms: {root_url: https://b}\nretry: {max_retries: 9}")
	assert.Equal(t, []string{"nats.listen", "nats.token", "caliper.enabled", "log.level", "state"}, order(s.Pin(running)))
	assert.Equal(t, running.NATS, s.NATS)
	assert.Equal(t, running.Log, s.Log)
	assert.False(t, s.Caliper.Enabled)
	assert.Equal(t, "https://b", s.LMS.RootURL)
	assert.Equal(t, 9, s.Retry.MaxRetries)
	assert.Empty(t, s.Pin(running))
}

// order leaves out what depends on the folder of the settings.
func order(keys []string) (left []string) {
	for _, k := range keys {
		if k != "nats.store" {
			left = append(left, k)
		}
	}
	return left
}

func TestFingerprint(t *testing.T) {
	sum := func(s *Settings) string {
		h := sha256.New()
		s.Fingerprint(h)
		return string(h.Sum(nil))
	}
	file := filepath.Join(t.TempDir(), "erbd.yaml")
	load := func(text string) *Settings {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		s, faults := Load(Sources{File: file})
		require.NoError(t, faults.Err())
		return s
	}
	a := sum(load("lookup: {secret: '${env:A}'}"))
	assert.Equal(t, a, sum(load("# a comment\nlookup:\n  secret: ${env:A}")), "where values stand does not count")
	assert.NotEqual(t, a, sum(load("lookup: {secret: '${env:B}'}")))
	assert.NotEqual(t, a, sum(load("lookup: {secret: '${env:A}'}\nbatch: {size: 7}")))
}
