package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
)

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "erbd.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func load(t *testing.T, src config.Sources) *config.Settings {
	t.Helper()
	s, faults := config.Load(src)
	require.Empty(t, faults)
	return s
}

func TestDefaults(t *testing.T) {
	s := load(t, config.Sources{})
	assert.Equal(t, "127.0.0.1:4222", s.NATS.Listen)
	assert.True(t, s.NATS.SyncAlways)
	assert.EqualValues(t, 10<<30, s.NATS.MaxStore)
	assert.Equal(t, "http://localhost:18000", s.LMS.RootURL)
	assert.Equal(t, config.ProfileCompat, s.Profile)
	assert.True(t, s.XAPI.Enabled)
	assert.False(t, s.Caliper.Enabled)
	assert.Equal(t, config.Batch{Enabled: false, Size: 100, Interval: time.Minute}, s.Batch)
	assert.Equal(t, config.Retry{MaxRetries: 3, Countdown: 30 * time.Second}, s.Retry)
	assert.Equal(t, []string{"edx.course.enrollment.activated", "edx.course.enrollment.deactivated", "edx.course.grade.passed.first_time"}, s.Critical)
	assert.Equal(t, "event-routing-backends@1.1.1", s.Version("1.1.1"))
	assert.Equal(t, config.LookupNone, s.LookupType())
	assert.Equal(t, "default", s.Origin("nats.url"))
	assert.Empty(t, s.ResolveSecrets(os.LookupEnv))
}

// Each default, as documented, is a value of its key; each key has a meaning
// and an environment variable of its own.
func TestKeys(t *testing.T) {
	env := map[string]string{}
	for _, k := range config.Keys() {
		t.Run(k.Name, func(t *testing.T) {
			assert.NotEmpty(t, k.Doc)
			for _, name := range k.Env {
				assert.Empty(t, env[name], name)
				env[name] = k.Name
			}
			if k.Default != "" {
				s := load(t, config.Sources{Set: []config.Assignment{{Key: k.Name, Value: k.Default, Source: "test"}}})
				assert.Equal(t, "test", s.Origin(k.Name))
			}
			if k.Enum != nil && k.Default != "" {
				assert.Contains(t, k.Enum, k.Default)
			}
		})
	}
	assert.Equal(t, "nats.url", env["ERB_NATS_URL"])
	assert.Equal(t, "lms.root_url", env["ERB_LMS_ROOT_URL"])
	for _, name := range []string{
		"EVENT_ROUTING_BACKEND_MAX_RETRIES", "EVENT_ROUTING_BACKEND_COUNTDOWN", "EVENT_ROUTING_BACKEND_BATCHING_ENABLED", "EVENT_ROUTING_BACKEND_BATCH_SIZE",
		"EVENT_ROUTING_BACKEND_BATCH_INTERVAL", "CALIPER_EVENTS_ENABLED", "XAPI_EVENTS_ENABLED", "XAPI_EVENT_LOGGING_ENABLED", "CALIPER_EVENT_LOGGING_ENABLED",
		"XAPI_AGENT_IFI_TYPE", "EVENT_TRACKING_BACKENDS_BUSINESS_CRITICAL_EVENTS", "EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS", "EVENT_TRACKING_BACKENDS_ALLOWED_CALIPER_EVENTS",
	} {
		assert.Contains(t, env, name)
	}
}

func TestFile(t *testing.T) {
	path := settingsFile(t, `
nats:    {listen: 127.0.0.1:0, store: ./data, max_store: 1GiB, password: "${env:P}", user: erb}
http:    {listen: off}
lookup:  {type: file, path: lms.json, cache_ttl: 90}
mappings: ./mappings
routers:  /etc/erbd/routers.yaml
profile: strict
lms: {root_url: "https://lms.example.org/"}
xapi: {names: [play_video], logging: xapi.log, actor_id: mbox}
caliper: {enabled: true, regex: {type: blocklist, expressions: ["edx\\.", seek]}, logging: stdout}
batch: {enabled: true, size: 10, interval: 5s}
critical: []
`)
	s := load(t, config.Sources{File: path})
	dir := filepath.Dir(path)
	assert.Equal(t, filepath.Join(dir, "data"), s.NATS.Store)
	assert.EqualValues(t, 1<<30, s.NATS.MaxStore)
	assert.Equal(t, filepath.Join(dir, "lms.json"), s.Lookup.Path)
	assert.Equal(t, 90*time.Second, s.Lookup.CacheTTL)
	assert.Equal(t, filepath.Join(dir, "mappings"), s.Mappings)
	assert.Equal(t, "/etc/erbd/routers.yaml", s.Routers)
	assert.Equal(t, "https://lms.example.org", s.LMS.RootURL)
	assert.Equal(t, filepath.Join(dir, "xapi.log"), s.XAPI.Logging)
	assert.Equal(t, "stdout", s.Caliper.Logging)
	assert.Equal(t, "off", s.HTTP.Listen)
	assert.Empty(t, s.Critical)
	assert.Equal(t, config.Batch{Enabled: true, Size: 10, Interval: 5 * time.Second}, s.Batch)
	assert.Equal(t, path+":2:19", s.Origin("nats.listen"))

	names, err := s.XAPI.NameFilter()
	require.NoError(t, err)
	assert.True(t, names.Allows("play_video"))
	assert.False(t, names.Allows("pause_video"))
	names, err = s.Caliper.NameFilter()
	require.NoError(t, err)
	assert.True(t, names.Allows("play_video"))
	assert.False(t, names.Allows("seek_video"))

	asJSON := load(t, config.Sources{File: settingsFile(t, `{"lms": {"root_url": "https://lms.example.org"}, "retry": {"countdown": 1.5}}`)})
	assert.Equal(t, 1500*time.Millisecond, asJSON.Retry.Countdown)
}

func TestOrder(t *testing.T) {
	path := settingsFile(t, "batch: {size: 1}\nretry: {max_retries: 1}\nlms: {root_url: http://a}\nmappings: m\n")
	env := []string{
		"ERB_BATCH_SIZE=2", "EVENT_ROUTING_BACKEND_BATCH_SIZE=9", "EVENT_ROUTING_BACKEND_MAX_RETRIES=2", "EVENT_ROUTING_BACKEND_COUNTDOWN=7", "EVENT_ROUTING_BACKEND_BATCH_INTERVAL=1.5",
		"EVENT_ROUTING_BACKEND_BATCHING_ENABLED=True", "CALIPER_EVENTS_ENABLED=true", "XAPI_EVENTS_ENABLED=False", "XAPI_EVENT_LOGGING_ENABLED=True", "CALIPER_EVENT_LOGGING_ENABLED=0",
		"XAPI_AGENT_IFI_TYPE=mbox_sha1sum", "EVENT_TRACKING_BACKENDS_BUSINESS_CRITICAL_EVENTS=['a', 'b']", `EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS=["x"]`,
		"EVENT_TRACKING_BACKENDS_ALLOWED_CALIPER_EVENTS=c, d,", "ERB_LMS_ROOT_URL=", "ERB_MAPPINGS=./n", "ERB_CONFIG=x", "HOME=/", "broken", "ERB_NATS_MAX_STORE=2g",
	}
	s, faults := config.Load(config.Sources{File: path, Env: env[:len(env)-1], Set: []config.Assignment{
		{Key: "batch.size", Value: "3", Source: "--set"}, {Key: "batch.size", Value: "4", Source: "--batch.size"}, {Key: "nats.token", Value: "${env:T}", Source: "--set"},
	}})
	require.Empty(t, faults)
	assert.Equal(t, config.Batch{Enabled: true, Size: 4, Interval: 1500 * time.Millisecond}, s.Batch)
	assert.Equal(t, config.Retry{MaxRetries: 2, Countdown: 7 * time.Second}, s.Retry)
	assert.True(t, s.Caliper.Enabled)
	assert.False(t, s.XAPI.Enabled)
	assert.Equal(t, "stdout", s.XAPI.Logging)
	assert.Equal(t, "off", s.Caliper.Logging)
	assert.Equal(t, config.ActorMboxSHA1Sum, s.XAPI.ActorID)
	assert.Equal(t, []string{"a", "b"}, s.Critical)
	assert.Equal(t, []string{"x"}, s.XAPI.Names)
	assert.Equal(t, []string{"c", "d"}, s.Caliper.Names)
	assert.Equal(t, "http://a", s.LMS.RootURL, "an empty variable is none")
	assert.Equal(t, "./n", s.Mappings)
	assert.Equal(t, "--batch.size", s.Origin("batch.size"))
	assert.Equal(t, "environment variable EVENT_ROUTING_BACKEND_COUNTDOWN", s.Origin("retry.countdown"))
	token, err := s.NATS.Token.Resolve(func(name string) (string, bool) { return "value of " + name, true })
	require.NoError(t, err)
	assert.Equal(t, "value of T", token)
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name, file string
		env, set   []string
		want       []string
	}{
		{"unknown keys, wrong types", "natz: {}\nlms: {root: x}\nbatch: {size: many, enabled: \"true\"}\n", nil, nil, []string{
			`erbd.yaml:1:1: natz: unknown key "natz" (did you mean "nats"?)`,
			`erbd.yaml:2:7: lms.root: unknown key "root" (known keys: root_url)`,
			`erbd.yaml:3:15: batch.size: expected an integer, found a string`,
			`erbd.yaml:3:30: batch.enabled: expected true or false, found a string (remove the quotes)`,
		}},
		{"syntax", "nats: {\n", nil, nil, []string{"erbd.yaml:1:7: did not find expected node content"}},
		{"empty", "", nil, nil, []string{"erbd.yaml"}},
		{"values of the file", "profile: compatt\nhttp: {listen: nowhere}\nnats: {url: \"host:4222\", replicas: 7, max_store: lots}\nbatch: {size: 0}\n", nil, nil, []string{
			`erbd.yaml:3:50: nats.max_store: not a size: write a number of bytes, or one with KiB, MiB, GiB or TiB`,
		}},
		{"values of the file, checked", "profile: compatt\nhttp: {listen: nowhere}\nnats: {url: \"host:4222\", replicas: 7}\nbatch: {size: 0, interval: 0}\nlms: {root_url: lms}\n", nil, nil, []string{
			`erbd.yaml:1:10: profile: unknown value "compatt": use compat, strict (did you mean "compat"?)`,
			`erbd.yaml:3:13: nats.url: expected addresses such as nats://host:4222`,
			`erbd.yaml:3:36: nats.replicas: must be from 1 to 5`,
			`erbd.yaml:2:16: http.listen: expected an address such as 127.0.0.1:4222`,
			`erbd.yaml:5:17: lms.root_url: expected an address such as https://lms.example.org`,
			`erbd.yaml:4:15: batch.size: must be at least 1`,
			`erbd.yaml:4:28: batch.interval: must be more than 0`,
		}},
		{"nats.ack_wait", "nats: {ack_wait: 0.5}\n", nil, nil, []string{`erbd.yaml:1:18: nats.ack_wait: must be at least 1s`}},
		{"clashes", "xapi: {names: [a], regex: {type: allowlist, expressions: [b]}}\ncaliper: {regex: {expressions: [b]}}\nnats: {url: tls://h, tls: {cert: a}, token: \"${env:T}\", nkey: n, password: \"${env:P}\"}\nlookup: {type: file}\n", nil, nil, []string{
			`erbd.yaml:3:34: nats.tls.cert: needs nats.tls.key too`,
			`erbd.yaml:3:63: nats.nkey: excludes nats.token: log in one way`,
			`erbd.yaml:3:76: nats.password: needs nats.user too`,
			`erbd.yaml:4:16: lookup.type: file needs lookup.path too`,
			`erbd.yaml:1:34: xapi.regex: excludes xapi.names: filter by one of them`,
			`erbd.yaml:2:32: caliper.regex.type: must be set: use allowlist or blocklist`,
		}},
		{"look-ups", "lookup:\n  type: nats\n  users_bucket: a.b\n  courses_bucket: a.b\n  tls: {key: k}\n  retired_users: pseudonym\n  retired_prefix: ''\n  timeout: 0\n", nil, nil, []string{
			"erbd.yaml:3:17: lookup.users_bucket: expected a name of letters, digits, _ and -",
			"erbd.yaml:4:19: lookup.courses_bucket: expected a name of letters, digits, _ and -",
			"erbd.yaml:4:19: lookup.courses_bucket: is lookup.users_bucket too: use two buckets",
			"erbd.yaml:5:14: lookup.tls.key: needs lookup.tls.cert too",
			"erbd.yaml:6:18: lookup.retired_users: pseudonym needs lookup.secret too: without it anybody can compute the pseudonyms",
			"erbd.yaml:7:19: lookup.retired_prefix: must not be empty",
			"erbd.yaml:8:12: lookup.timeout: must be more than 0",
		}},
		{"expressions", "xapi:\n  regex:\n    type: allowlist\n    expressions:\n      - fine\n      - \"a(?=b)\"\n      - b)\n", nil, nil, []string{
			"erbd.yaml:6:9: xapi.regex.expressions[1]: invalid regular expression: invalid or unsupported Perl syntax (?= (look-around (?=…) is not available; list the names or use the other filter type)",
			"erbd.yaml:7:9: xapi.regex.expressions[2]: invalid regular expression: unexpected )",
		}},
		{"environment", "", []string{"ERB_BATCH_SIZE=x", "ERB_RETRY_COUNTDOWN=soon", "XAPI_EVENT_LOGGING_ENABLED=maybe", "ERB_NATS_PASSWORD=${vault:x}", "ERB_CRITICAL=[a, {}]", "ERB_NATS_SYNC_ALWAYS=2"}, nil, []string{
			"environment variable ERB_NATS_SYNC_ALWAYS: nats.sync_always: expected true or false",
			"environment variable ERB_NATS_PASSWORD: nats.password: malformed reference to a secret: write ${env:NAME} or ${file:PATH}, and $${ for a plain ${",
			"environment variable XAPI_EVENT_LOGGING_ENABLED: xapi.logging: expected true or false",
			`environment variable ERB_CRITICAL: critical: not a list of strings: write ["a", "b"]: expected a string, found a mapping`,
			"environment variable ERB_BATCH_SIZE: batch.size: expected an integer",
			"environment variable ERB_RETRY_COUNTDOWN: retry.countdown: not a duration: write it like 30s, 5m or 1h30m, or as a number of seconds",
		}},
		{"environment, checked", "", []string{"XAPI_AGENT_IFI_TYPE=mail", "ERB_NATS_LISTEN=:99999"}, nil, []string{
			`environment variable XAPI_AGENT_IFI_TYPE: xapi.actor_id: unknown value "mail": use external_id, mbox, mbox_sha1sum`,
			"environment variable ERB_NATS_LISTEN: nats.listen: expected an address such as 127.0.0.1:4222",
		}},
		{"flags", "", nil, []string{"natsurl=x", "nats=x", "batch.size=-1", "xapi.logging=", "xapi.regex.type=allow", "xapi.regex.expressions=[a"}, []string{
			`--set: unknown setting "natsurl" (did you mean "nats.url"?)`,
			`--set: unknown setting "nats" (it is a group; set one of its keys, such as nats.url)`,
			`--set: xapi.regex.expressions: not a list`,
		}},
		{"flags, checked", "", nil, []string{"batch.size=-1", "xapi.logging=", "xapi.regex.type=allowlist", "xapi.regex.expressions=(,b", "retry.max_retries=-1"}, []string{
			"--set: xapi.regex.expressions: invalid regular expression [0]: missing closing )",
			"--set: batch.size: must be at least 1",
			"--set: retry.max_retries: must be at least 0",
			"--set: xapi.logging: must not be empty: use off, stdout or a file",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := config.Sources{Env: tt.env}
			if tt.env == nil && tt.set == nil {
				src.File = settingsFile(t, tt.file)
			}
			for _, arg := range tt.set {
				a, err := config.ParseAssignment(arg, "--set")
				require.NoError(t, err)
				src.Set = append(src.Set, a)
			}
			s, faults := config.Load(src)
			assert.Nil(t, s)
			var got []string
			for _, d := range faults {
				got = append(got, strings.TrimPrefix(d.Error(), filepath.Dir(src.File)+"/"))
			}
			if !assert.Len(t, got, len(tt.want)) {
				t.Log(strings.Join(got, "\n"))
				return
			}
			for i := range got {
				assert.Contains(t, got[i], tt.want[i])
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	_, faults := config.Load(config.Sources{File: filepath.Join(t.TempDir(), "erbd.yaml")})
	require.Len(t, faults, 1)
	require.ErrorIs(t, faults.Err(), os.ErrNotExist)
	assert.Contains(t, faults[0].Error(), "cannot read settings: no such file or directory")
}

func TestUnknownVariableWarns(t *testing.T) {
	s, faults := config.Load(config.Sources{Env: []string{"ERB_NATS_URI=x"}})
	require.NotNil(t, s)
	require.Len(t, faults, 1)
	assert.Equal(t, diag.Warning, faults[0].Severity)
	assert.Contains(t, faults[0].Error(), `environment variable ERB_NATS_URI: warning: no such setting; it is ignored (did you mean "ERB_NATS_URL"?)`)
}

func TestParseAssignment(t *testing.T) {
	a, err := config.ParseAssignment(" a.b =c=d", "--set")
	require.NoError(t, err)
	assert.Equal(t, config.Assignment{Key: "a.b", Value: "c=d", Source: "--set"}, a)
	for _, arg := range []string{"", "a", "=b"} {
		_, err = config.ParseAssignment(arg, "--set")
		require.EqualError(t, err, "--set: expected key=value, such as lms.root_url=https://lms.example.org")
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{"0": 0, "12": 12, " 3 KiB": 3 << 10, "5M": 5 << 20, "1GiB": 1 << 30, "2T": 2 << 40} {
		size, err := config.ParseSize(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, size)
		again, err := config.ParseSize(size.String())
		require.NoError(t, err)
		assert.Equal(t, size, again)
	}
	for _, text := range []string{"", "-1", "1.5G", "x", "K", "9999999999T", "1KB", "1iB"} {
		_, err := config.ParseSize(text)
		assert.Error(t, err, text)
	}
	assert.Equal(t, "1537KiB", config.Size(1537<<10).String())
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pw"), []byte("from file\r\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600))
	env := func(name string) (string, bool) {
		value, ok := map[string]string{"PW": "from ${env:X} env", "EMPTY": ""}[name]
		return value, ok
	}
	for text, want := range map[string]string{
		"": "", "plain": "plain", "${env:PW}": "from ${env:X} env", "${file:pw}": "from file", "a-${ env:PW }": "", "a${env: PW }b${file:" + dir + "/pw}c": "afrom ${env:X} envbfrom filec",
		"$${env:PW}": "${env:PW}", "$": "$", "a$b{c}": "a$b{c}",
	} {
		s, err := config.NewSecret(text, dir)
		if text == "a-${ env:PW }" {
			require.ErrorIs(t, err, config.ErrSecretSyntax)
			continue
		}
		require.NoError(t, err, text)
		got, err := s.Resolve(env)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
		assert.Equal(t, text != "", s.IsSet())
	}
	for _, text := range []string{"${", "${}", "${env:}", "${PW}", "${env:PW", "x${vault:y}"} {
		_, err := config.NewSecret(text, dir)
		require.ErrorIs(t, err, config.ErrSecretSyntax, text)
		assert.NotContains(t, err.Error(), "vault")
	}
	for text, want := range map[string]string{
		"${env:NOPE}": "environment variable NOPE is not set", "${env:EMPTY}": "environment variable EMPTY is not set",
		"${file:nope}": "does not exist", "${file:empty}": "is empty",
	} {
		s, err := config.NewSecret(text, dir)
		require.NoError(t, err)
		_, err = s.Resolve(env)
		require.ErrorIs(t, err, config.ErrSecretMissing)
		require.ErrorContains(t, err, want)
	}

	s, err := config.NewSecret("hunter2", "")
	require.NoError(t, err)
	asJSON, err := json.Marshal(map[string]any{"s": s})
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "settings", struct{ S config.Secret }{s})
	printed := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v", s, s, s, s, s, s, s, &s, struct{ S config.Secret }{s}) + string(asJSON) + log.String()
	assert.NotContains(t, printed, "hunter2")
	assert.NotContains(t, printed, fmt.Sprintf("%x", "hunter2"))
	assert.Equal(t, "[redacted]", s.String())
	assert.Empty(t, config.Secret{}.String())
}

func TestResolveSecrets(t *testing.T) {
	s := load(t, config.Sources{File: settingsFile(t, "lookup: {secret: \"${env:NOPE}\", dsn: \"u:${file:./dsn}\"}\n")})
	faults := s.ResolveSecrets(func(string) (string, bool) { return "", false })
	require.Len(t, faults, 2)
	assert.Contains(t, faults[0].Error(), "erbd.yaml:1:38: lookup.dsn: secret is not there: file ")
	assert.Contains(t, faults[1].Error(), "erbd.yaml:1:18: lookup.secret: secret is not there: environment variable NOPE is not set")
	require.ErrorIs(t, faults.Err(), config.ErrSecretMissing)
}

func TestSecretOfWrongType(t *testing.T) {
	_, faults := config.Load(config.Sources{File: settingsFile(t, "nats: {user: u, password: 20250101}\n")})
	require.Len(t, faults, 1)
	assert.NotContains(t, faults.Render(), "20250101")
}

func TestDefaultNames(t *testing.T) {
	xapi, caliper := config.XAPINames(), config.CaliperNames()
	assert.Len(t, xapi, 65)
	assert.Len(t, caliper, 28)
	assert.Subset(t, xapi, caliper)
	assert.IsIncreasing(t, xapi)
	assert.IsIncreasing(t, caliper)
	assert.NotContains(t, xapi, "edx.grades.problem.submitted")
	assert.NotContains(t, xapi, "edx.problem.completed")
	s := config.Defaults()
	for name, want := range map[string][2]bool{
		"play_video": {true, true}, "edx.video.language_menu.shown": {true, false}, "edx.forum.thread.viewed": {true, false}, "edx.grades.problem.submitted": {}, "speed_change_video": {true, false},
	} {
		x, err := s.XAPI.NameFilter()
		require.NoError(t, err)
		c, err := s.Caliper.NameFilter()
		require.NoError(t, err)
		assert.Equal(t, want, [2]bool{x.Allows(name), c.Allows(name)}, name)
	}
}

func TestConstants(t *testing.T) {
	s := load(t, config.Sources{Set: []config.Assignment{{Key: "nats.token", Value: "hunter2", Source: "test"}}})
	assert.JSONEq(t, `{"lms":{"root_url":"http://localhost:18000"},"profile":"compat","transformer_version":"event-routing-backends@1.0.0",
		"xapi":{"actor_id":"external_id"},"caliper":{"sensor_id":"http://example.com/sensors","extended":false}}`, s.Constants("1.0.0"))
}
