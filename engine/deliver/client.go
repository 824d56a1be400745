// Package deliver sends statements to record stores: xAPI statements to an LRS, Caliper events in envelopes to a
// Caliper endpoint. It knows HTTP and nothing of NATS: a Send takes items and returns one outcome for each.
//
// How an answer is read:
//
//	2xx                     every item of the request is delivered (the number of ids returned proves nothing)
//	400, 409, 413, 422      on several items: the batch is split until the culprits stand alone, the rest is delivered
//	                        on one item: 409 is a duplicate (it is there already), the others are permanent
//	408, 429, 5xx           transient; Retry-After is handed on, in seconds or as a date
//	401, 403, 404, 3xx      pause: the endpoint or the router's settings are wrong, not the item
//	other 4xx               permanent
//	no connection, DNS, TLS pause: the endpoint is down
//	a forbidden target      pause: nothing was sent (see Targets)
//	timeout, broken line    transient: the items may have arrived, so they may come back as duplicates
//
// A record store that refuses a batch stores nothing of it, and some refuse a whole batch with 409 because one
// statement is known; therefore 409 splits like 400 does.
//
// Redirects are never followed, so that credentials reach only the configured host.
package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Format is the kind of endpoint.
type Format uint8

// The formats.
const (
	// XAPI posts statements to <url>/statements: one object, or an array of several.
	XAPI Format = iota + 1
	// Caliper posts one envelope per request to the URL itself.
	Caliper
)

// ParseFormat returns the format of a backend's name, "xapi" or "caliper", or ErrConfig.
func ParseFormat(name string) (Format, error) {
	switch name {
	case "xapi":
		return XAPI, nil
	case "caliper":
		return Caliper, nil
	default:
		return 0, fmt.Errorf("%w: backend %q is neither xapi nor caliper", ErrConfig, name)
	}
}

// Limits and defaults of a client.
const (
	// DefaultTimeout bounds one request, from dialling to the end of the answer.
	DefaultTimeout = 30 * time.Second
	// DefaultConns is the number of idle connections kept per client.
	DefaultConns = 8
	// MaxAnswer is the number of bytes of an answer that are kept in an Outcome.
	MaxAnswer = 512
	// MaxRetryAfter bounds the wait that a record store can ask for.
	MaxRetryAfter = time.Hour
	// maxBody is how much of an answer is read, so that the connection can be used again.
	maxBody = 64 << 10
	// xAPIVersion is sent as X-Experience-API-Version.
	xAPIVersion = "1.0.3"
	// caliperVersion is the dataVersion of an envelope.
	caliperVersion = "http://purl.imsglobal.org/ctx/caliper/v1p2"
)

// ErrConfig is wrapped by every error of New.
var ErrConfig = errors.New("unusable delivery settings")

// Config describes one endpoint.
type Config struct {
	Format Format
	// URL of the endpoint, http or https, without user and password. For xAPI "/statements" is appended unless
	// the path ends so already.
	URL  string
	Auth Auth
	// Headers are added to every request and win over the client's own, except for the credentials.
	Headers map[string]string
	// Timeout of one request; 0 means DefaultTimeout.
	Timeout time.Duration
	// Gzip compresses request bodies. An endpoint that answers 415 gets uncompressed bodies from then on.
	Gzip bool
	// SensorID is the sensor of Caliper envelopes.
	SensorID string
	// Targets are the addresses that may be connected to.
	Targets Targets
	// Override, if set, changes root keys of the Caliper envelope. New calls it once, with an envelope without events;
	// it must leave data as it is.
	Override func(envelope []byte) ([]byte, error)
	// Conns is the number of idle connections kept; 0 means DefaultConns.
	Conns int
	// UserAgent of the requests; "" means "erbd".
	UserAgent string
	// Observe, if set, is called after each request with the bounded reason word ("http_200", "timeout", …), the
	// number of items in it and its duration. It must be safe for concurrent use.
	Observe func(reason string, items int, took time.Duration)
}

// Item is one statement or Caliper event.
type Item struct {
	// ID tells equal items apart: of several items with one non-empty ID in a Send only the first is sent.
	ID string
	// JSON is the statement, one JSON object.
	JSON []byte
}

// Client sends to one endpoint. It is safe for concurrent use. Close it when its router is gone.
type Client struct {
	cfg      Config
	url      string
	host     string
	header   http.Header
	http     *http.Client
	envelope *Envelope
	scrub    *strings.Replacer
	noGzip   atomic.Bool
}

// New checks the settings and returns a client; it does not connect. Its errors wrap ErrConfig, also a *TargetError
// where the URL itself names a target that is refused, and never show the values of credentials or headers.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Conns == 0 {
		cfg.Conns = DefaultConns
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "erbd"
	}
	if cfg.Timeout < 0 || cfg.Conns < 0 {
		return nil, fmt.Errorf("%w: timeout and connections must not be negative", ErrConfig)
	}
	u, err := endpoint(cfg.Format, cfg.URL)
	if err != nil {
		return nil, err
	}
	if err := cfg.Auth.Validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, url: u.String(), host: u.Host, header: http.Header{}}
	c.header.Set("Content-Type", "application/json")
	c.header.Set("User-Agent", cfg.UserAgent)
	if cfg.Format == XAPI {
		c.header.Set("X-Experience-API-Version", xAPIVersion)
	}
	for name, value := range cfg.Headers {
		if err := CheckHeader(name, value); err != nil {
			return nil, err
		}
		c.header.Set(name, value)
	}
	if err := cfg.checkURL(u); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if h := cfg.Auth.header(); h != "" {
		c.header.Set("Authorization", h)
	}
	if cfg.Format == Caliper {
		if c.envelope, err = NewEnvelope(cfg.SensorID, cfg.Override); err != nil {
			return nil, err
		}
	}
	c.scrub = cfg.scrubber(u)
	t, err := cfg.transport(u)
	if err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport:     t,
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close closes the idle connections. Requests under way are not disturbed.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Host returns the host and port of the endpoint, fit for messages.
func (c *Client) Host() string { return c.host }

// CheckHeader returns an error that wraps ErrConfig when a header cannot be sent, belongs to the client itself (Host,
// Content-Length and other headers of the transport), or is for credentials that have a place of their own.
func CheckHeader(name, value string) error {
	if !headerName(name) {
		return fmt.Errorf("%w: %q is not the name of a header", ErrConfig, name)
	}
	if !headerValue(value) {
		return fmt.Errorf("%w: the value of header %q holds characters that a header cannot carry", ErrConfig, name)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Proxy-Authorization":
		return fmt.Errorf("%w: header %q is for credentials: write auth: {scheme: basic or bearer, …} instead", ErrConfig, name)
	case "Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer", "Upgrade", "Expect":
		return fmt.Errorf("%w: header %q is set by erbd itself: remove it", ErrConfig, name)
	}
	return nil
}

// headerName reports whether s is a token of HTTP.
func headerName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// headerValue reports whether s holds no control character but the tab.
func headerValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// endpoint returns the URL to post to.
func endpoint(f Format, raw string) (*url.URL, error) {
	if f != XAPI && f != Caliper {
		return nil, fmt.Errorf("%w: unknown format %d", ErrConfig, f)
	}
	u, err := url.Parse(raw)
	if err != nil { // the cause would repeat the URL, which may hold a password
		return nil, fmt.Errorf("%w: the url cannot be read: write it as https://host/path", ErrConfig)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Opaque != "" {
		return nil, fmt.Errorf("%w: the url needs http or https and a host: write it as https://host/path", ErrConfig)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%w: the url holds a user or password: move them to auth", ErrConfig)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%w: the port of the url is none of 1 to 65535", ErrConfig)
		}
	}
	u.Fragment, u.RawFragment = "", ""
	if f == XAPI && !strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/statements") {
		u = u.JoinPath("statements")
	}
	return u, nil
}

// Send delivers items in as few requests as it can and returns one outcome per item, in order. It starts with one
// request for all of them; splitting a refused batch makes more, one after the other. It returns when every item has
// an outcome: at the latest one timeout after ctx ends, with Aborted for what had no answer by then.
func (c *Client) Send(ctx context.Context, items []Item) []Outcome {
	outcomes := make([]Outcome, len(items))
	first := make(map[string]int, len(items))
	unique := make([]int, 0, len(items))
	for i, it := range items {
		if it.ID != "" {
			if _, seen := first[it.ID]; seen {
				continue
			}
			first[it.ID] = i
		}
		unique = append(unique, i)
	}
	c.split(ctx, items, unique, outcomes)
	for i, it := range items {
		if outcomes[i].Kind != 0 {
			continue
		}
		o := outcomes[first[it.ID]]
		if o.Done() {
			o = Outcome{Kind: Duplicate, Status: o.Status, Reason: o.Reason}
		}
		outcomes[i] = o
	}
	return outcomes
}

// split posts the items of which, and in halves again what is refused as a whole.
func (c *Client) split(ctx context.Context, items []Item, which []int, outcomes []Outcome) {
	if len(which) == 0 {
		return
	}
	chunk := make([]Item, 0, len(which))
	todo := [][]int{which}
	for len(todo) > 0 {
		part := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		chunk = chunk[:0]
		for _, i := range part {
			chunk = append(chunk, items[i])
		}
		o := c.post(ctx, chunk)
		if o.refused() && len(part) > 1 {
			todo = append(todo, halves(part)...)
			continue
		}
		if o.Status == http.StatusConflict {
			o = Outcome{Kind: Duplicate, Status: o.Status, Reason: o.Reason}
		}
		for _, i := range part {
			outcomes[i] = o
		}
		switch o.Kind {
		case Pause, Transient, Aborted: // the rest would fare no better
			for _, rest := range todo {
				for _, i := range rest {
					outcomes[i] = o
				}
			}
			return
		}
	}
}

// halves splits a part for another try, the first half last so that it is sent first. A few items are taken
// one by one at once, which costs fewer requests.
func halves(part []int) [][]int {
	if len(part) > 3 {
		m := len(part) / 2
		return [][]int{part[m:], part[:m]}
	}
	out := make([][]int, 0, len(part))
	for i := len(part) - 1; i >= 0; i-- {
		out = append(out, part[i:i+1])
	}
	return out
}

// post sends one request and reads its answer.
func (c *Client) post(ctx context.Context, items []Item) Outcome {
	if err := ctx.Err(); err != nil {
		return c.failed(ctx, err)
	}
	start := time.Now()
	o := c.exchange(ctx, items, c.cfg.Gzip && !c.noGzip.Load())
	if o.Status == http.StatusUnsupportedMediaType && c.cfg.Gzip && !c.noGzip.Swap(true) {
		o = c.exchange(ctx, items, false)
	}
	if c.cfg.Observe != nil {
		c.cfg.Observe(o.Reason, len(items), time.Since(start))
	}
	return o
}

func (c *Client) exchange(ctx context.Context, items []Item, zip bool) Outcome {
	body := c.body(items, time.Now())
	if zip {
		body = compress(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return Outcome{Kind: Pause, Reason: "broken", Err: fmt.Errorf("make a request to %s: the url cannot be used", c.host)}
	}
	req.Header = c.header.Clone()
	if zip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.failed(ctx, err)
	}
	defer resp.Body.Close()
	return c.answered(resp)
}
