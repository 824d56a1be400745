package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/cli"
)

// planted are secrets that are in force, each of its own; all have the same stem.
const planted = "zqsecret"

// noSecrets fails for every secret that something shows.
func noSecrets(t *testing.T, where, text string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if i := strings.Index(line, planted); i >= 0 {
			t.Errorf("%s: %.300s", where, line[max(0, i-150):])
			return
		}
	}
}

// TestSecretsInForce plants a secret everywhere where one can be, lets record stores, data base and collector be at
// fault, and looks for them in all that comes out at the level debug, and in all files.
func TestSecretsInForce(t *testing.T) {
	const withSecrets = "nats: {store: data, listen: '127.0.0.1:%s', sync_always: false, user: erb, password: '${env:S_NATS}'}\nhttp: {listen: '127.0.0.1:%s', token: '${file:secrets/http}'}\n" +
		"routers: routers.yaml\nmappings: mappings\nlookup: {type: mysql, dsn: 'lms:${env:S_DSN}@tcp(127.0.0.1:1)/edxapp', timeout: 1, secret: '${env:S_PSEUDONYM}'}\n" +
		"xapi: {names: [play]}\nlog: {level: debug}\ntracing: {endpoint: 'http://127.0.0.1:1'}\ncritical: [play]\n%s"
	for name, value := range map[string]string{"S_NATS": "nats", "S_DSN": "dsn", "S_PSEUDONYM": "pseudonym", "S_BASIC": "basic", "S_HEADER": "header", "S_QUERY": "query", "OTEL_EXPORTER_OTLP_HEADERS": "collector"} {
		t.Setenv(name, planted+"-"+value)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization="+planted+"-collector")
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"refuses": 400, "shut": 401, "moved": 302}[strings.Split(r.URL.Path, "/")[1]]
		w.Header().Set("Location", "https://u:"+planted+"-location@elsewhere.example/?key="+planted+"-location")
		w.WriteHeader(status)
		fmt.Fprintln(w, r.Header, r.URL)
		user, password, _ := r.BasicAuth()
		fmt.Fprintln(w, user, password)
		_, _ = io.Copy(w, r.Body)
	}))
	defer echo.Close()
	s := newServing(t)
	s.write("secrets/http", planted+"-http\n")
	s.write("secrets/bearer", planted+"-bearer\n")
	natsPort, httpPort := freePort(t), freePort(t)
	settings := func(more string) { s.write("erbd.yaml", fmt.Sprintf(withSecrets, natsPort, httpPort, more)) }
	settings("")
	s.write("mappings/xapi/play.yaml", `{version: 1, backend: xapi, events: {play: {}}, statement: {id: '${get("data.id")}'}}`)
	routers := fmt.Sprintf(`
xapi:
- {name: refuses, url: "%[1]s/refuses?key=${env:S_QUERY}", auth: {scheme: basic, username: key, password: "${env:S_BASIC}"}, headers: {X-Api-Key: "${env:S_HEADER}"}}
- {name: shut, url: "%[1]s/shut", auth: {scheme: bearer, token: "${file:secrets/bearer}"}}
- {name: moved, url: "%[1]s/moved?key=${env:S_QUERY}", auth: {scheme: bearer, token: "${file:secrets/bearer}"}}
- {name: down, url: "http://127.0.0.1:1/?key=${env:S_QUERY}"}
`, echo.URL)
	s.write("routers.yaml", routers)
	srv, log, stop := s.start()
	config := []string{"--config", s.path("erbd.yaml")}
	command := func(want int, stdin string, args ...string) string {
		t.Helper()
		code, stdout, stderr := erbd(t.Context(), strings.NewReader(stdin), append(args, config...)...)
		require.Equal(t, want, code, "%s: %s%s", args, stdout, stderr)
		noSecrets(t, strings.Join(args, " "), stdout+stderr)
		return stdout
	}
	command(cli.ExitFine, play(1)+"\n", "publish", "-")
	s.until("all stores have answered", func() bool {
		states := map[string]bool{}
		for _, r := range srv.Status(t.Context()).Routers {
			states[r.Name] = r.Paused != "" || r.Settled["kept"] > 0
		}
		return states["refuses"] && states["shut"] && states["moved"] && states["down"]
	})
	status, err := json.Marshal(srv.Status(t.Context()))
	require.NoError(t, err)
	noSecrets(t, "status", string(status))
	for _, path := range []string{"/metrics", "/status", "/readyz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.HTTP()+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+planted+"-http")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		noSecrets(t, path, string(body))
	}
	command(cli.ExitFine, "", "status")
	command(cli.ExitFine, "", "status", "--output", "json")
	command(cli.ExitFine, "", "check")
	command(cli.ExitFailure, "", "check", "--ping")
	command(cli.ExitFailure, "", "check", "--ping", "--output", "json")
	list := command(cli.ExitFine, "", "failed", "list", "--output", "json")
	var kept []struct{ Key string }
	require.NoError(t, json.Unmarshal([]byte(list), &kept))
	require.Len(t, kept, 1)
	shown := command(cli.ExitFine, "", "failed", "show", kept[0].Key)
	assert.Contains(t, shown, "[redacted]", "the answer echoes the credentials")
	command(cli.ExitFailure, "", "failed", "retry", "--all")
	command(cli.ExitFailure, "", "lookup", "user", "7")
	_, stdout, stderr := erbd(t.Context(), nil, "settings")
	noSecrets(t, "settings", stdout+stderr)

	// Faults beside secrets, told by a live reload and by check.
	for _, broken := range []string{
		strings.Replace(routers, "name: shut,", "name: shut, requests: 0,", 1), strings.Replace(routers, `"${file:secrets/bearer}"`, planted+"-literal", 1), strings.Replace(routers, "auth: {scheme: basic", "auth: {sceme: basic", 1),
		routers + "- {name: user, url: 'http://u:" + planted + "-url@h'}\n", strings.Replace(routers, "}}\n", "\n", 1) + "- {name: x, url: 'http://h?key=" + planted + "-q', auth: [}\n",
	} {
		s.write("routers.yaml", broken)
		require.Error(t, srv.Reload(t.Context()))
		command(cli.ExitFailure, "", "check")
		command(cli.ExitFailure, "", "check", "--output", "json")
		command(cli.ExitFine, "", "status")
	}
	s.write("routers.yaml", routers)
	for _, more := range []string{"retry: {countdown: x}\n", "nats: {token: " + planted + "-twice}\n", "tracing: {endpoint: 'http://u:" + planted + "-trace@h'}\n", "http: [" + planted + "-list\n"} {
		settings(more)
		require.Error(t, srv.Reload(t.Context()))
		command(cli.ExitFailure, "", "check")
	}
	settings("")
	require.NoError(t, srv.Reload(t.Context()))
	stop()
	noSecrets(t, "log", log.String())
	assert.Contains(t, log.String(), "level=DEBUG")

	// No file of the daemon has a secret, and nobody else may read any of them.
	files := 0
	require.NoError(t, filepath.WalkDir(s.path("data"), func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, "%s: %s", path, info.Mode())
		if d.IsDir() {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		noSecrets(t, path, string(text))
		return nil
	}))
	assert.Greater(t, files, 5)
}

// TestSecretsAreRefused: what is written out, in files, on the command line and in addresses, is not shown when it is
// refused.
func TestSecretsAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"check", "--nats.token", planted}, {"check", "--nats.url", "nats://u:" + planted + "@h:1"}, {"check", "--nats.url", "nats://" + planted + "@h:1,x"}, {"check", "--set", "http.token=" + planted},
		{"check", "--lookup.type=mysql", "--lookup.dsn=u:" + planted + "@tcp(h)/d"}, {"check", "--tracing.endpoint", "http://u:" + planted + "@h"}, {"check", "--tracing.endpoint", "://" + planted},
		{"serve", "--nats.store", dir, "--nats.password", planted}, {"check", "--lms.root_url", "http://u:" + planted + "@h"}, {"publish", "--nats.url", "nats://u:" + planted + "@127.0.0.1:1", "-"},
	} {
		code, stdout, stderr := erbd(t.Context(), strings.NewReader(""), args...)
		assert.NotEqual(t, cli.ExitFine, code, args)
		noSecrets(t, strings.Join(args[:2], " "), stdout+stderr)
	}
}
