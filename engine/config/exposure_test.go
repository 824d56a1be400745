package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
)

func texts(faults diag.List) string {
	var all []string
	for _, d := range faults {
		all = append(all, d.Error())
	}
	return strings.Join(all, "\n")
}

// TestListeners: who listens beyond this machine asks who comes.
func TestListeners(t *testing.T) {
	const natsHint, httpHint = "(set nats.token, or nats.user and nats.password; or listen on 127.0.0.1)", "(set http.token, or http.user and http.password; or listen on 127.0.0.1)"
	tests := []struct{ name, file, want string }{
		{"loopback", "nats: {listen: '127.0.0.1:1'}\nhttp: {listen: '[::1]:1'}", ""},
		{"localhost", "nats: {listen: 'localhost:1'}\nhttp: {listen: 'LOCALHOST:1'}", ""},
		{"nats everywhere", "nats: {listen: ':4222'}", "1:16: nats.listen: would let everybody in the network publish, read and delete events " + natsHint},
		{"nats in the network", "nats: {listen: '10.0.0.5:4222'}", natsHint},
		{"nats by name", "nats: {listen: 'erbd:4222'}", natsHint},
		{"nats on IPv6", "nats: {listen: '[::]:4222'}", natsHint},
		{"nats with a token", "nats: {listen: ':4222', token: '${env:T}'}", ""},
		{"nats with a user", "nats: {listen: ':4222', user: u, password: '${env:P}'}", ""},
		{"nats with half a user", "nats: {listen: ':4222', user: u}", "nats.user: needs nats.password too"},
		{"nats elsewhere", "nats: {listen: ':4222', url: 'tls://h:1'}", ""},
		{"nats with what it does not know", "nats: {credentials: c}", "nats.credentials: is for servers of nats.url"},
		{"nats with the wrong certificate", "nats: {tls: {cert: c, key: k}}", "nats.tls.cert: is for servers of nats.url: the embedded server has nats.token, nats.user with nats.password, and nats.listen_tls"},
		{"nats with half a certificate", "nats: {listen_tls: {cert: c}}", "nats.listen_tls.cert: needs nats.listen_tls.key too"},
		{"http everywhere", "http: {listen: '0.0.0.0:9090'}", "1:16: http.listen: would show metrics and status to everybody in the network, and let them reload " + httpHint},
		{"http with a token", "http: {listen: ':9090', token: '${env:T}'}", ""},
		{"http with a user", "http: {listen: ':9090', user: u, password: '${env:P}'}", ""},
		{"http with both", "http: {token: '${env:T}', user: u, password: '${env:P}'}", "http.token: excludes http.user"},
		{"http with half a user", "http: {user: u}", "http.user: needs http.password too"},
		{"http with the other half", "http: {password: '${env:P}'}", "http.password: needs http.user too"},
		{"http with a colon", "http: {user: 'a:b', password: '${env:P}'}", "must not hold a colon"},
		{"http with half a certificate", "http: {tls: {key: k}}", "http.tls.key: needs http.tls.cert too"},
		{"http off", "http: {listen: off}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, faults := config.Load(config.Sources{File: settingsFile(t, tt.file)})
			if tt.want == "" {
				require.Empty(t, texts(faults))
				return
			}
			require.Nil(t, s)
			require.Len(t, faults, 1, texts(faults))
			assert.ErrorContains(t, faults[0], tt.want)
		})
	}
}

// TestLiteralSecrets: files and flags refer to secrets, environment variables may hold them.
func TestLiteralSecrets(t *testing.T) {
	const hint = "the secret is written out (put it into an environment variable or a file of its own, and write ${env:NAME} or ${file:PATH})"
	for name, text := range map[string]string{
		"nats.token": "nats: {token: hunter2}", "nats.password": "nats: {user: u, password: hunter2}", "http.token": "http: {token: hunter2}",
		"http.password": "http: {user: u, password: hunter2}", "lookup.secret": "lookup: {secret: hunter2}", "lookup.dsn": "lookup: {dsn: 'u:hunter2@tcp(h)/d'}",
	} {
		_, faults := config.Load(config.Sources{File: settingsFile(t, text)})
		require.Len(t, faults, 1, text)
		assert.ErrorIs(t, faults[0], config.ErrSecretLiteral)
		assert.Contains(t, faults[0].Error(), name+": "+hint)
		assert.NotContains(t, faults.Render(), "hunter2")

		sets := []config.Assignment{{Key: "nats.user", Value: "u", Source: "--set"}, {Key: name, Value: "u:hunter2@h/d", Source: "--" + name}}
		if !strings.HasPrefix(name, "nats") {
			sets[0] = config.Assignment{Key: "http.user", Value: "u", Source: "--set"}
		}
		_, faults = config.Load(config.Sources{Set: sets})
		assert.Contains(t, texts(faults), "--"+name+": "+name+": "+hint)

		env := "ERB_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_")) + "=u:hunter2@h/d"
		_, faults = config.Load(config.Sources{Env: []string{env}})
		assert.NotContains(t, texts(faults), "written out")
	}
	for _, text := range []string{"lookup: {dsn: 'root@unix(/run/mysqld.sock)/d'}", "lookup: {dsn: 'u:${env:P}@tcp(h)/d'}", "lookup: {dsn: 'u:@tcp(h)/d'}", "nats: {token: 'a${env:T}'}", "nats: {token: ''}"} {
		_, faults := config.Load(config.Sources{File: settingsFile(t, text)})
		assert.Empty(t, texts(faults), text)
	}
}

// TestFaultsBesideSecrets: a fault shows its line, but not where a secret stands on it.
func TestFaultsBesideSecrets(t *testing.T) {
	for _, text := range []string{
		"nats: {listen: nowhere, token: hunter2}", "nats: {replicas: x, passwort: hunter2}", "nats: {url: 'nats://u:hunter2@'}", "nats: {url: 'nats://u:hunter2@h:1', replicas: 9}",
		"tracing: {endpoint: 'http://u:hunter2@h:1'}", "tracing: {endpoint: 'http://h:1?hunter2=1'}", "nats: {token: \"hunter2}", "lookup: {dsn: [hunter2]}", "lookup: {type: x, dsn: 'a:hunter2@b'}",
	} {
		_, faults := config.Load(config.Sources{File: settingsFile(t, text)})
		require.True(t, faults.HasErrors(), text)
		assert.NotContains(t, faults.Render(), "hunter2", text)
	}
	_, faults := config.Load(config.Sources{File: settingsFile(t, "profile: compatt\n")})
	assert.Contains(t, faults.Render(), "profile: compatt\n", "others show their line")
}

func TestDelivery(t *testing.T) {
	s := load(t, config.Sources{File: settingsFile(t, "delivery: {forbid_private_targets: true, allow_targets: [10.0.0.0/8, '::1'], allow_plaintext: [LRS.example.com, '::1']}")})
	assert.True(t, s.Delivery.ForbidPrivateTargets)
	require.Len(t, s.Delivery.Allowed(), 2)
	assert.Equal(t, "::1/128", s.Delivery.Allowed()[1].String())
	assert.True(t, s.Delivery.Plaintext("lrs.example.com"))
	assert.True(t, s.Delivery.Plaintext("[::1]"))
	assert.False(t, s.Delivery.Plaintext("example.com"))
	_, faults := config.Load(config.Sources{File: settingsFile(t, "delivery: {allow_targets: [lrs], allow_plaintext: ['http://h/x']}")})
	assert.Contains(t, texts(faults), `delivery.allow_targets: "lrs" is neither an address nor a network`)
	assert.Contains(t, texts(faults), `delivery.allow_plaintext: "http://h/x" is no host`)
}

func TestExposed(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"profile: strict", ""},
		{"nats: {listen: ':1', token: '${env:T}'}", "nats.listen: the password and all events go through the network unencrypted (set nats.listen_tls.cert"},
		{"nats: {listen: ':1', token: '${env:T}', listen_tls: {cert: c, key: k}}", ""},
		{"http: {listen: ':1', token: '${env:T}'}", "http.listen: the password goes through"},
		{"http: {listen: ':1', token: '${env:T}', tls: {cert: c, key: k}}", ""},
		{"nats: {url: 'nats://h:1,nats://i:1'}", "nats.url: events, and the credentials if there are any, go to h:1 unencrypted"},
		{"nats: {url: 'nats://127.0.0.1:1,tls://h:1,wss://h:1'}", ""},
		{"nats: {url: 'nats://h:1', tls: {ca: c}}", ""},
		{"tracing: {endpoint: 'collector:4318'}", "tracing.endpoint: traces, and the headers of OTEL_EXPORTER_OTLP_HEADERS, go to collector:4318 unencrypted"},
		{"tracing: {endpoint: 'https://collector:4318'}", ""},
		{"tracing: {endpoint: '127.0.0.1:4318'}", ""},
	} {
		s := load(t, config.Sources{File: settingsFile(t, tt.file)})
		found := s.Exposed()
		if tt.want == "" {
			assert.Empty(t, texts(found), tt.file)
			continue
		}
		require.Len(t, found, 1, tt.file)
		assert.False(t, found.HasErrors())
		assert.Contains(t, found[0].Error(), tt.want)
	}
}
