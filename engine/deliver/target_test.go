package deliver

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers every question for an IPv4 address with the one that is set, over a real socket, and makes it the
// name server of this process.
func nameServer(t *testing.T) (set func(addr string)) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var answer atomic.Value
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(answer.Load().(string)).As4()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		require.NoError(t, conn.Close())
		<-done
	})
	return func(addr string) { answer.Store(addr) }
}

// TestTargetsByName resolves names to what an attacker may want, after the settings were found in order.
func TestTargetsByName(t *testing.T) {
	s := newStore(t, always(200))
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	set := nameServer(t)
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	tests := []struct {
		name, answer string
		cfg          Config
		reason, text string
	}{
		{"private is allowed", "127.0.0.1", Config{}, "http_200", ""},
		{"private is forbidden", "127.0.0.1", Config{Targets: Targets{ForbidPrivate: true}}, "forbidden_target", "127.0.0.1 is an address of this machine, which delivery.forbid_private_targets forbids"},
		{"but for this network", "127.0.0.1", Config{Targets: Targets{ForbidPrivate: true, Allow: []netip.Prefix{loopback}}}, "http_200", ""},
		{"metadata", "169.254.169.254", Config{}, "forbidden_target", "169.254.169.254 is a link-local, metadata"},
		{"unspecified", "0.0.0.0", Config{}, "forbidden_target", "no router sends there"},
		{"credentials in public", "9.9.9.9", Config{Auth: Auth{Scheme: Bearer, Token: "hunter2"}}, "plaintext", "would show the credentials to everybody"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.URL = "http://lrs.apps.svc:" + port + "/xAPI?hush"
			if tt.reason == "http_200" {
				tt.cfg.Auth = Auth{Scheme: Bearer, Token: "hunter2"}
			}
			c := client(t, tt.cfg)
			set(tt.answer)
			out := c.Send(t.Context(), items("a", "b"))
			require.Equal(t, tt.reason, out[0].Reason, "%v", out[0])
			_, err := c.Ping(t.Context())
			if tt.text == "" {
				require.NoError(t, err)
				return
			}
			var te *TargetError
			require.ErrorAs(t, err, &te)
			assert.Equal(t, []Kind{Pause, Pause}, kinds(out), "nothing is eaten")
			assert.ErrorContains(t, out[0].Err, tt.text)
			assert.NotContains(t, out[0].Err.Error(), "hush")
			assert.NotContains(t, out[0].Err.Error(), "hunter2")
		})
	}
	t.Run("the name changes its mind", func(t *testing.T) {
		set("127.0.0.1")
		c := client(t, Config{URL: "http://lrs.apps.svc:" + port, Targets: Targets{Allow: []netip.Prefix{loopback}, ForbidPrivate: true}})
		require.Equal(t, Delivered, c.Send(t.Context(), items("a"))[0].Kind)
		c.Close() // the connection that is known
		set("10.0.0.1")
		assert.Equal(t, "forbidden_target", c.Send(t.Context(), items("a"))[0].Reason)
	})
}

func TestTargetsByURL(t *testing.T) {
	auth := Auth{Scheme: Basic, Username: "u", Password: "hunter2"}
	for name, tt := range map[string]struct {
		cfg  Config
		text string // "" where it is fine
	}{
		"public":              {Config{URL: "https://lrs.example.com", Auth: auth}, ""},
		"plaintext":           {Config{URL: "http://lrs.example.com", Auth: auth}, "lrs.example.com is public, and http:// would show"},
		"plaintext address":   {Config{URL: "http://9.9.9.9:1", Auth: auth}, "9.9.9.9:1 is public"},
		"plaintext query":     {Config{URL: "http://lrs.example.com?key=hunter2"}, "is public"},
		"plaintext header":    {Config{URL: "http://lrs.example.com", Headers: map[string]string{"X-Api-Key": "hunter2"}}, "is public"},
		"plaintext, allowed":  {Config{URL: "http://lrs.example.com", Auth: auth, Targets: Targets{Plaintext: true}}, ""},
		"nothing to hide":     {Config{URL: "http://lrs.example.com", Headers: map[string]string{"X-Test": "header"}}, ""},
		"compose":             {Config{URL: "http://lrs:8080", Auth: auth}, ""},
		"kubernetes":          {Config{URL: "http://lrs.apps.svc.cluster.local:8080", Auth: auth}, ""},
		"private address":     {Config{URL: "http://10.0.0.5", Auth: auth}, ""},
		"private, forbidden":  {Config{URL: "https://10.0.0.5", Targets: Targets{ForbidPrivate: true}}, "10.0.0.5 is a private address, which"},
		"loopback, forbidden": {Config{URL: "https://[::1]:1", Targets: Targets{ForbidPrivate: true}}, "is an address of this machine"},
		"metadata":            {Config{URL: "http://169.254.169.254/latest"}, "no router sends there"},
		"metadata, mapped":    {Config{URL: "http://[::ffff:169.254.169.254]/latest"}, "no router sends there"},
		"metadata, IPv6":      {Config{URL: "http://[fd00:ec2::254]/"}, "no router sends there"},
		"metadata, allowed":   {Config{URL: "http://169.254.169.254/latest", Targets: Targets{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cfg.Format = XAPI
			c, err := New(tt.cfg)
			if tt.text == "" {
				require.NoError(t, err)
				c.Close()
				return
			}
			require.ErrorIs(t, err, ErrConfig)
			var te *TargetError
			require.ErrorAs(t, err, &te)
			assert.ErrorContains(t, err, tt.text)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// TestRedirects: no kind of redirect is followed, to whatever place; the record store that it points to hears nothing.
func TestRedirects(t *testing.T) {
	var reached atomic.Int64
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{elsewhere.URL + "/x?key=private", "/same/host?key=private", "http://u:private@127.0.0.1/"} {
			calls := 0
			s := newStore(t, func(_ []string, w http.ResponseWriter) int {
				calls++
				w.Header().Set("Location", to)
				return status
			})
			c := client(t, Config{URL: s.URL, Auth: Auth{Scheme: Bearer, Token: "tok"}, Headers: map[string]string{"X-Api-Key": "hunter2"}})
			out := c.Send(t.Context(), items("a"))
			assert.Equal(t, Pause, out[0].Kind)
			assert.Equal(t, "redirect", out[0].Reason)
			assert.ErrorContains(t, out[0].Err, "set the router's url to the final address")
			assert.NotContains(t, out[0].Err.Error(), "private")
			assert.Equal(t, 1, calls)
		}
	}
	assert.Zero(t, reached.Load())
}

// TestProxy runs itself with proxies in the environment, which is read once in a process.
func TestProxy(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI)
		w.WriteHeader(200)
	}))
	defer proxy.Close()
	run := func(env ...string) string {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyChild$", "-test.v")
		cmd.Env = append(env, "ERBD_TEST_PROXY=1", "HOME=/")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	out := run("HTTP_PROXY=" + proxy.URL)
	assert.Contains(t, out, "result lrs.apps.svc: delivered\n")
	assert.Contains(t, out, "result 10.0.0.5: unusable delivery settings: 10.0.0.5 is a private address")
	assert.Contains(t, out, "result metadata: pause (forbidden_target)")
	require.Len(t, asked, 1, "private targets are not asked for, and the proxy itself may be private")
	u, err := url.Parse(asked[0])
	require.NoError(t, err)
	assert.Equal(t, "lrs.apps.svc", u.Host)
}

func TestProxyChild(t *testing.T) {
	if os.Getenv("ERBD_TEST_PROXY") == "" {
		assert.Empty(t, os.Getenv("ERBD_TEST_PROXY"), "TestProxy runs this")
		return
	}
	set := nameServer(t)
	for _, tt := range []struct{ name, host, answer string }{
		{"lrs.apps.svc", "lrs.apps.svc", "9.9.9.9"}, {"10.0.0.5", "10.0.0.5", ""}, {"metadata", "rebound.apps.svc", "169.254.169.254"},
	} {
		set(tt.answer)
		c, err := New(Config{Format: XAPI, URL: "http://" + tt.host, Targets: Targets{ForbidPrivate: true}})
		if err != nil {
			_, _ = os.Stdout.WriteString("result " + tt.name + ": " + err.Error() + "\n")
			continue
		}
		o := c.Send(t.Context(), items("a"))[0]
		_, _ = os.Stdout.WriteString("result " + tt.name + ": " + strings.Split(o.String(), ": ")[0] + "\n")
		c.Close()
	}
}
