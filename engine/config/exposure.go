package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/netscope"
)

// secrets refuses secrets that are written out in a file, which is copied and shown around, or on the command line,
// which every user of the machine sees. Environment variables may hold them.
func (c *checker) secrets() {
	for i := range keyFields {
		k := &keyFields[i]
		o, set := c.s.origins[k.Name]
		if k.Type != TypeSecret || !set || o.node == nil && !strings.HasPrefix(o.name, "--") {
			continue
		}
		secret := c.s.secret(k)
		if !secret.Literal() || k.Name == "lookup.dsn" && !dsnPassword(secret.text) {
			continue
		}
		c.fault(k.Name, CodeValue, "%w", ErrSecretLiteral).Hint = HintLiteral
	}
}

// dsnPassword reports whether there is a password before the last @ of a data source.
func dsnPassword(dsn string) bool {
	user := dsn[:max(strings.LastIndexByte(dsn, '@'), 0)]
	_, password, _ := strings.Cut(user, ":")
	return password != ""
}

// embedded checks the embedded message server: who reaches it can publish events, read those that wait, and delete
// them.
func (c *checker) embedded(listens bool) {
	n := &c.s.NATS
	for _, k := range [...]struct{ key, value string }{
		{"nats.credentials", n.Credentials}, {"nats.nkey", n.NKey}, {"nats.tls.ca", n.TLS.CA}, {"nats.tls.cert", n.TLS.Cert},
	} {
		if k.value != "" {
			c.fault(k.key, CodeClash, "is for servers of nats.url: the embedded server has nats.token, nats.user with nats.password, and nats.listen_tls")
		}
	}
	if n.User != "" && !n.Password.IsSet() {
		c.fault("nats.user", CodeClash, "needs nats.password too")
	}
	if listens && !netscope.Local(n.Listen) && n.User == "" && !n.Token.IsSet() {
		c.fault("nats.listen", CodeOpen, "would let everybody in the network publish, read and delete events").Hint = "set nats.token, or nats.user and nats.password; or listen on 127.0.0.1"
	}
}

// http checks the endpoint of metrics and status.
func (c *checker) http() {
	h := &c.s.HTTP
	c.together("http.tls.cert", h.TLS.Cert, "http.tls.key", h.TLS.Key)
	switch {
	case h.User != "" && !h.Password.IsSet():
		c.fault("http.user", CodeClash, "needs http.password too")
	case h.User == "" && h.Password.IsSet():
		c.fault("http.password", CodeClash, "needs http.user too")
	case h.User != "" && h.Token.IsSet():
		c.fault("http.token", CodeClash, "excludes http.user: log in one way")
	case strings.Contains(h.User, ":"):
		c.fault("http.user", CodeValue, "must not hold a colon")
	}
	if h.Listen == Off {
		return
	}
	if c.address("http.listen", h.Listen) && !netscope.Local(h.Listen) && h.User == "" && !h.Token.IsSet() {
		c.fault("http.listen", CodeOpen, "would show metrics and status to everybody in the network, and let them reload").Hint = "set http.token, or http.user and http.password; or listen on 127.0.0.1"
	}
}

func (c *checker) delivery() {
	for _, text := range c.s.Delivery.AllowTargets {
		if _, err := netscope.ParsePrefix(text); err != nil {
			c.fault("delivery.allow_targets", CodeValue, "%q is %w", text, err)
		}
	}
	for _, host := range c.s.Delivery.AllowPlaintext {
		if host == "" || strings.ContainsAny(host, "/@* ") {
			c.fault("delivery.allow_plaintext", CodeValue, "%q is no host: write it as lrs.example.com, without port and https://", host)
		}
	}
}

// Exposed warns of connections that leave this machine without encryption, though nothing forbids them: of the
// servers of this program, and to those that the settings name. Each diagnostic has the key as its path.
func (s *Settings) Exposed() diag.List {
	c := &checker{s: s}
	warn := func(key, hint, format string, args ...any) {
		d := c.fault(key, CodeOpen, format, args...)
		d.Severity, d.Hint, d.Line = diag.Warning, hint, ""
	}
	n, h := &s.NATS, &s.HTTP
	if n.URL == "" && !netscope.Local(n.Listen) && !n.ListenTLS.IsSet() {
		warn("nats.listen", "set nats.listen_tls.cert and nats.listen_tls.key", "the password and all events go through the network unencrypted")
	}
	if h.Listen != Off && !netscope.Local(h.Listen) && !h.TLS.IsSet() {
		warn("http.listen", "set http.tls.cert and http.tls.key", "the password goes through the network unencrypted")
	}
	encrypted := n.TLS.CA != "" || n.TLS.Cert != ""
	for server := range strings.SplitSeq(n.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || encrypted || u.Scheme == "tls" || u.Scheme == "wss" || u.Host == "" || netscope.OfHost(u.Hostname()) == netscope.Loopback {
			continue
		}
		warn("nats.url", "write tls://host:4222, or set nats.tls.ca", "events, and the credentials if there are any, go to %s unencrypted, unless the server insists on tls", u.Host)
		break
	}
	if u := s.tracingURL(); u != nil && u.Scheme != "https" && netscope.OfHost(u.Hostname()) != netscope.Loopback {
		warn("tracing.endpoint", "write https://host:4318", "traces, and the headers of OTEL_EXPORTER_OTLP_HEADERS, go to %s unencrypted", u.Host)
	}
	return c.faults
}

// tracingURL is the address of tracing.endpoint, nil where there is none or it is none.
func (s *Settings) tracingURL() *url.URL {
	text := s.Tracing.Endpoint
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil
	}
	return u
}

// tracing keeps credentials out of an address that messages show.
func (c *checker) tracing() {
	if c.s.Tracing.Endpoint == "" {
		return
	}
	u := c.s.tracingURL()
	switch {
	case u == nil || u.Scheme != "http" && u.Scheme != "https":
		c.fault("tracing.endpoint", CodeValue, "expected an address such as http://127.0.0.1:4318").Line = ""
	case u.User != nil || u.RawQuery != "":
		c.fault("tracing.endpoint", CodeValue, "holds credentials or a query: give credentials in OTEL_EXPORTER_OTLP_HEADERS").Line = ""
	}
}

// Allowed are the networks of AllowTargets.
func (d Delivery) Allowed() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range d.AllowTargets {
		if p, err := netscope.ParsePrefix(text); err == nil { // Validate has told
			list = append(list, p)
		}
	}
	return list
}

// Plaintext reports whether AllowPlaintext has a host.
func (d Delivery) Plaintext(host string) bool {
	return slices.ContainsFunc(d.AllowPlaintext, func(h string) bool { return strings.EqualFold(strings.Trim(h, "[]"), strings.Trim(host, "[]")) })
}
