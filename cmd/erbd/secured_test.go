package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/listen/listentest"
)

// freePort is a port of all addresses of this machine.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// TestSecured runs a daemon that listens everywhere: with a token or a password, with and without certificates. The
// commands get in with the same settings, nobody else does.
func TestSecured(t *testing.T) {
	const secret = "hunter2-secured"
	t.Setenv("SECURED", secret)
	for name, tt := range map[string]struct {
		nats, http, challenge string
		tls                   bool
	}{
		"token":                          {"token: '${env:SECURED}'", "token: '${env:SECURED}'", "Bearer", false},
		"password and certificate":       {"user: erb, password: '${env:SECURED}'", "user: ops, password: '${env:SECURED}'", "Basic", true},
		"token and certificate of nats":  {"token: '${env:SECURED}'", "user: ops, password: '${env:SECURED}'", "Basic", true},
		"password, listening everywhere": {"user: erb, password: '${env:SECURED}'", "token: '${env:SECURED}'", "Bearer", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, store := newServing(t), newLRS(t)
			natsPort, httpPort := freePort(t), freePort(t)
			scheme := "http://"
			if tt.tls {
				cert, key := listentest.Pair(t, s.dir)
				tt.nats += fmt.Sprintf(", listen_tls: {cert: %q, key: %q}", cert, key)
				tt.http += fmt.Sprintf(", tls: {cert: %q, key: %q}", cert, key)
				scheme = "https://"
			}
			for name, text := range files(1, fmt.Sprintf(`{"xapi": [{"name": "main", "url": "%s/a"}]}`, store.URL)) {
				s.write(name, text)
			}
			s.write("erbd.yaml", fmt.Sprintf("nats: {store: data, listen: '0.0.0.0:%s', sync_always: false, %s}\nhttp: {listen: '0.0.0.0:%s', %s}\n"+
				"mappings: mappings\nrouters: routers.yaml\nlookup: {path: lms.json, unknown_users: pseudonym}\nxapi: {names: [play]}\n", natsPort, tt.nats, httpPort, tt.http))
			_, log, stop := s.start()
			config := []string{"--config", s.path("erbd.yaml")}

			// The commands, with the same settings.
			code, stdout, stderr := erbd(t.Context(), strings.NewReader(play(1)+"\n"), append([]string{"publish", "-"}, config...)...)
			require.Equal(t, cli.ExitFine, code, stderr)
			assert.Contains(t, stdout, "published 1 events")
			s.until("it arrives", func() bool { n, _ := store.count("a"); return n == 1 })
			for _, command := range [][]string{{"status"}, {"failed", "list"}, {"check", "--ping"}} {
				code, stdout, stderr = erbd(t.Context(), nil, append(command, config...)...)
				require.Equal(t, cli.ExitFine, code, "%s: %s %s", command, stdout, stderr)
				assert.NotContains(t, stdout+stderr, secret)
			}
			assert.Equal(t, !tt.tls, strings.Contains(stderr, "nats.listen: the password and all events go through the network unencrypted"), stderr)

			// Nobody else: not without credentials, not with wrong ones, not unencrypted.
			transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			page := func(method, path string, edit func(*http.Request)) (*http.Response, string) {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), method, scheme+"127.0.0.1:"+httpPort+path, nil)
				require.NoError(t, err)
				if edit != nil {
					edit(req)
				}
				resp, err := transport.RoundTrip(req)
				require.NoError(t, err)
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				return resp, string(body)
			}
			for _, path := range []string{"/metrics", "/status", "POST /-/reload"} {
				method, path, post := strings.Cut(path, " ")
				if !post {
					method, path = http.MethodGet, method
				}
				for _, edit := range []func(*http.Request){nil, func(r *http.Request) { r.SetBasicAuth("ops", "wrong") }, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }} {
					resp, body := page(method, path, edit)
					assert.Equal(t, http.StatusUnauthorized, resp.StatusCode, path)
					assert.Equal(t, "unauthorized\n", body)
					assert.Contains(t, resp.Header.Get("WWW-Authenticate"), tt.challenge)
				}
				resp, _ := page(method, path, func(r *http.Request) {
					if tt.challenge == "Bearer" {
						r.Header.Set("Authorization", "Bearer "+secret)
					} else {
						r.SetBasicAuth("ops", secret)
					}
				})
				assert.Equal(t, http.StatusOK, resp.StatusCode, path)
			}
			resp, _ := page(http.MethodPost, "/-/reload", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
			assert.Equal(t, http.StatusForbidden, resp.StatusCode, "a page in somebody's browser")
			for path, want := range map[string]string{"/healthz": `{"status":"ok"}`, "/readyz": `{"ready":true}`} {
				resp, body := page(http.MethodGet, path, nil)
				assert.Equal(t, http.StatusOK, resp.StatusCode)
				assert.JSONEq(t, want, body, "no more than that to a stranger")
			}
			for _, option := range []nats.Option{nats.Name("nobody"), nats.Token("wrong"), nats.UserInfo("erb", "wrong")} {
				_, err := nats.Connect("127.0.0.1:"+natsPort, option, nats.Secure(&tls.Config{InsecureSkipVerify: true}))
				if tt.tls {
					require.ErrorIs(t, err, nats.ErrAuthorization)
					continue
				}
				_, err = nats.Connect("127.0.0.1:"+natsPort, option)
				require.ErrorIs(t, err, nats.ErrAuthorization)
			}
			if tt.tls {
				_, err := nats.Connect("127.0.0.1:"+natsPort, nats.Token(secret))
				require.Error(t, err, "the certificate is not one of the system")
			}

			// A command with other credentials is told so.
			t.Setenv("SECURED", "another")
			code, _, stderr = erbd(t.Context(), nil, append([]string{"status"}, config...)...)
			assert.Equal(t, cli.ExitFailure, code)
			assert.Contains(t, stderr, "refuses the credentials\nhint: http.token, or http.user and http.password,")
			code, _, stderr = erbd(t.Context(), nil, append([]string{"failed", "list"}, config...)...)
			assert.Equal(t, cli.ExitFailure, code)
			assert.Contains(t, stderr, "hint: check nats.user and nats.password")
			t.Setenv("SECURED", secret)
			stop()
			assert.Equal(t, !tt.tls, strings.Contains(log.String(), `msg="a connection is not encrypted" setting=nats.listen`))
			assert.NotContains(t, log.String(), secret)
		})
	}
}

// TestOpenIsRefused: what would let everybody in is told before anything listens.
func TestOpenIsRefused(t *testing.T) {
	for key, hint := range map[string]string{"nats.listen": "hint: set nats.token, or nats.user and nats.password; or listen on 127.0.0.1", "http.listen": "hint: set http.token, or http.user and http.password; or listen on 127.0.0.1"} {
		for _, command := range []string{"serve", "check", "publish"} {
			code, stdout, stderr := erbd(t.Context(), strings.NewReader(""), command, "--nats.store", t.TempDir(), "--"+key, "0.0.0.0:0")
			assert.NotEqual(t, cli.ExitFine, code)
			assert.Contains(t, stdout+stderr, "--"+key+": "+key+": would ")
			assert.Contains(t, stderr, hint)
		}
	}
}

// TestForbiddenTarget: a name that stands for a private address passes the load and is found out when it is dialled;
// the router pauses with its events, and a change of the setting lets them go.
func TestForbiddenTarget(t *testing.T) {
	s, store := newServing(t), newLRS(t)
	_, port, err := net.SplitHostPort(store.Listener.Addr().String())
	require.NoError(t, err)
	all := files(1, fmt.Sprintf(`{"xapi": [{"name": "main", "url": "http://localhost:%s/a"}]}`, port))
	for name, text := range all {
		s.write(name, text)
	}
	s.write("erbd.yaml", all["erbd.yaml"]+"delivery: {forbid_private_targets: true}\n")
	srv, log, _ := s.start()
	published := s.feed(srv, time.Millisecond, play)
	s.until("the router pauses", func() bool {
		st := srv.Status(t.Context())
		return len(st.Routers) == 1 && st.Routers[0].Paused == "forbidden_target" && st.Routers[0].Waiting > 5
	})
	n := published()
	assert.Contains(t, log.String(), "which delivery.forbid_private_targets forbids, unless delivery.allow_targets has it")
	assert.Contains(t, get(t, srv, "/metrics"), `erb_router_paused{backend="xapi",router="main"} 1`)
	unique, _ := store.count("a")
	assert.Zero(t, unique)
	s.write("erbd.yaml", all["erbd.yaml"]+"delivery: {forbid_private_targets: true, allow_targets: [127.0.0.0/8, '::1']}\n")
	s.until("all arrive", func() bool { got, _ := store.count("a"); return got == n })
	_, repeated := store.count("a")
	assert.Zero(t, repeated)
}
