package listen_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/listen"
	"github.com/erbd/erbd/engine/listen/listentest"
)

func get(t *testing.T, url string, config *tls.Config, edit func(*http.Request)) (int, http.Header, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if edit != nil {
		edit(req)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, resp.Header, resp.Body.Close()
}

// TestCertificateRenewed replaces the files of a running server, first by a pair that does not fit.
func TestCertificateRenewed(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	cert, key := listentest.Pair(t, dir)
	newCert, newKey := listentest.Pair(t, other)
	c, err := listen.LoadCertificate(cert, key)
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = c.Config()
	srv.Listener = tls.NewListener(srv.Listener, srv.TLS)
	srv.Start()
	defer srv.Close()
	url := "https://" + srv.Listener.Addr().String()
	pinned := func(file string) *tls.Config {
		config, err := listen.Pinned(file)
		require.NoError(t, err)
		return config
	}
	copied := filepath.Join(other, "before.pem")
	put := func(from, to string) {
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, text, 0o600))
		later := time.Now().Add(time.Duration(len(text)) * time.Second) // also where the clock of the disk is coarse
		require.NoError(t, os.Chtimes(to, later, later))
	}
	put(cert, copied)
	_, _, err = get(t, url, pinned(cert), nil)
	require.NoError(t, err)
	_, _, err = get(t, url, pinned(newCert), nil)
	require.ErrorIs(t, err, listen.ErrCertificate)
	assert.ErrorContains(t, err, "the server has another one than "+newCert)

	put(newCert, cert) // the key is still the old one
	_, _, err = get(t, url, pinned(copied), nil)
	require.NoError(t, err, "the pair before is used")
	put(newKey, key)
	_, _, err = get(t, url, pinned(newCert), nil)
	require.NoError(t, err)
	_, _, err = get(t, url, pinned(copied), nil)
	require.ErrorIs(t, err, listen.ErrCertificate)
}

func TestCertificateErrors(t *testing.T) {
	cert, key := listentest.Pair(t, t.TempDir())
	_, otherKey := listentest.Pair(t, t.TempDir())
	for _, files := range [][2]string{{cert, "absent"}, {"absent", key}, {cert, otherKey}, {key, cert}} {
		_, err := listen.LoadCertificate(files[0], files[1])
		require.ErrorIs(t, err, listen.ErrCertificate)
		assert.ErrorContains(t, err, files[0])
	}
	for _, file := range []string{"absent", key} {
		_, err := listen.Pinned(file)
		require.ErrorIs(t, err, listen.ErrCertificate)
	}
}

func TestGuard(t *testing.T) {
	basic, bearer := listen.Credentials{User: "u", Password: "hunter2"}, listen.Credentials{Token: "hunter2"}
	for name, tt := range map[string]struct {
		asks, gives listen.Credentials
		status      int
	}{
		"nothing": {listen.Credentials{}, listen.Credentials{}, 200}, "basic": {basic, basic, 200}, "bearer": {bearer, bearer, 200},
		"none for basic": {basic, listen.Credentials{}, 401}, "none for bearer": {bearer, listen.Credentials{}, 401},
		"bearer for basic": {basic, bearer, 401}, "basic for bearer": {bearer, basic, 401},
		"wrong password": {basic, listen.Credentials{User: "u", Password: "hunter"}, 401}, "wrong user": {basic, listen.Credentials{User: "v", Password: "hunter2"}, 401},
		"wrong token": {bearer, listen.Credentials{Token: "hunter22"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tt.asks.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			defer srv.Close()
			status, header, err := get(t, srv.URL, nil, tt.gives.Authorize)
			require.NoError(t, err)
			assert.Equal(t, tt.status, status)
			assert.Equal(t, status == 401, header.Get("WWW-Authenticate") != "")
		})
	}
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s", basic, bearer, basic, bearer), "hunter2")
}
