package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/config"
)

// FuzzLoad reads any file of settings: either every fault has a message and a place in the file, or the settings are
// valid, and so they stay.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"nats: {listen: 127.0.0.1:4222, store: ./data}\nhttp: {listen: 127.0.0.1:9090}\nlms: {root_url: https://lms.example.com}\n",
		"lookup: {type: mysql, dsn: \"${env:LMS_DSN}\"}\nbatch: {enabled: true, size: 10, interval: 5s}\n",
		"xapi: {enabled: false, regex: {type: allowlist, expressions: ['^a', '(b{1000}){1000}']}}\n",
		"nats: {max_store: 99999999999999999999GiB, replicas: -1}\nretry: {countdown: 1e999s, max_retries: 99999999999}\n",
		"critical: [a, b, 1, null]\n", "a: &a [*a]\n", "{}", "", "[]", "\ufeffnats: {}\r\n", "nats: {nats: {nats: {}}}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) == 0 {
			content = []byte(" ") // none would be read from the disk
		}
		src := config.Sources{File: "erbd.yaml", Content: content}
		s, faults := config.Load(src)
		_ = faults.Render()
		for _, d := range faults {
			require.NotEmpty(t, d.Message)
			require.False(t, strings.ContainsAny(d.Message, "\n\r"), "%q", d.Message)
		}
		if faults.HasErrors() {
			return
		}
		require.Empty(t, s.Validate())
		again, _ := config.Load(src)
		for _, k := range config.Keys() {
			require.Equal(t, s.Origin(k.Name), again.Origin(k.Name))
		}
	})
}
