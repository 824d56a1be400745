package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/erbd/erbd/engine/netscope"
)

// Targets says to which addresses a client connects. It is asked about the address itself, after a name was resolved
// and before anything is sent, so that no name server and no redirect leads elsewhere. Link-local and metadata
// addresses are refused unless Allow has them.
type Targets struct {
	// ForbidPrivate refuses this machine and private networks.
	ForbidPrivate bool
	// Allow are the networks that are let through in any case.
	Allow []netip.Prefix
	// Plaintext allows credentials on their way to a public address without encryption.
	Plaintext bool
}

// TargetError says why a client does not connect to an address.
type TargetError struct {
	// Reason is the bounded word of the outcome: forbidden_target or plaintext.
	Reason string
	text   string
}

// Error names the address and the setting.
func (e *TargetError) Error() string { return e.text }

// check returns a *TargetError where a client must not connect to an address.
func (t Targets) check(a netip.Addr) error {
	scope := netscope.Of(a)
	switch {
	case netscope.Within(a, t.Allow):
	case scope == netscope.Special:
		return forbidden("%s is %s: no router sends there, unless delivery.allow_targets has it", a, scope)
	case t.ForbidPrivate && scope != netscope.Public:
		return forbidden("%s is %s, which delivery.forbid_private_targets forbids, unless delivery.allow_targets has it", a, scope)
	}
	return nil
}

func forbidden(format string, args ...any) error {
	return &TargetError{Reason: "forbidden_target", text: fmt.Sprintf(format, args...)}
}

func (t Targets) checkPlaintext(a netip.Addr) error {
	if t.Plaintext || netscope.Of(a) != netscope.Public {
		return nil
	}
	return plaintext(a.String())
}

func plaintext(host string) error {
	return &TargetError{Reason: "plaintext", text: host + " is public, and http:// would show the credentials to everybody on the way (auth, secret headers, the query of the url): use https://, or name the host in delivery.allow_plaintext"}
}

// secretHeaders are parts of names of headers that carry credentials.
var secretHeaders = []string{"auth", "token", "secret", "cookie", "key", "password", "credential", "signature"}

// SecretHeader reports whether a header carries credentials, by its name.
func SecretHeader(name string) bool {
	name = strings.ToLower(name)
	for _, part := range secretHeaders {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// Credentials reports whether requests carry any: auth, a header that is named like one, or a query in the URL.
func (cfg Config) Credentials() bool {
	if cfg.Auth.Scheme != None {
		return true
	}
	for name := range cfg.Headers {
		if SecretHeader(name) {
			return true
		}
	}
	u, err := url.Parse(cfg.URL)
	return err == nil && u.RawQuery != ""
}

// checkURL checks what the text of the URL tells of the target.
func (cfg Config) checkURL(u *url.URL) error {
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		if err := cfg.Targets.check(a); err != nil {
			return err
		}
	}
	return cfg.CheckPlaintext()
}

// CheckPlaintext returns a *TargetError where the URL sends credentials to a public host without encryption. New has
// called it.
func (cfg Config) CheckPlaintext() error {
	u, err := url.Parse(cfg.URL)
	if err == nil && u.Scheme == "http" && !cfg.Targets.Plaintext && cfg.Credentials() && netscope.OfHost(u.Hostname()) == netscope.Public {
		return plaintext(u.Host)
	}
	return nil
}

// transport returns the connections to the endpoint.
func (cfg Config) transport(u *url.URL) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = cfg.Conns, cfg.Conns
	t.IdleConnTimeout = 90 * time.Second
	t.MaxResponseHeaderBytes = maxBody
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil { // the cause may repeat the proxy's address, which may hold a password
		return nil, fmt.Errorf("%w: the proxy of the environment (HTTP_PROXY, HTTPS_PROXY) cannot be used", ErrConfig)
	}
	if proxy != nil {
		// The environment is the operator's: its proxy may be anywhere. What the proxy connects to is its own
		// business, but for what this machine knows of the name.
		t.Proxy = func(r *http.Request) (*url.URL, error) { return proxy, cfg.throughProxy(r.Context(), u) }
		t.DialContext = dialer.DialContext
		return t, nil
	}
	t.Proxy = nil
	dialer.Control = func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return forbidden("%s is no address", address)
		}
		return cfg.checkAddress(u, a.Addr())
	}
	t.DialContext = dialer.DialContext
	return t, nil
}

// throughProxy checks what the target's name stands for here. Where it stands for nothing, the proxy alone knows it.
func (cfg Config) throughProxy(ctx context.Context, u *url.URL) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil
	}
	for _, a := range addresses {
		if err := cfg.checkAddress(u, a); err != nil {
			return err
		}
	}
	return nil
}

// checkAddress checks what a name stands for.
func (cfg Config) checkAddress(u *url.URL, a netip.Addr) error {
	if err := cfg.Targets.check(a); err != nil {
		return err
	}
	if u.Scheme == "http" && cfg.Credentials() {
		return cfg.Targets.checkPlaintext(a)
	}
	return nil
}

// refusedTarget returns the outcome of a target that must not be connected to.
func (c *Client) refusedTarget(err error) (Outcome, bool) {
	var te *TargetError
	if !errors.As(err, &te) {
		return Outcome{}, false
	}
	return Outcome{Kind: Pause, Reason: te.Reason, Err: fmt.Errorf("%s is not sent to: %w", c.host, te)}, true
}
