package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// answered classifies an answer, reading a bounded part of its body.
func (c *Client) answered(resp *http.Response) Outcome {
	// What cannot be read does not change what the status said.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	o := Outcome{Status: resp.StatusCode, Reason: "http_" + strconv.Itoa(resp.StatusCode)}
	if o.Status >= 200 && o.Status <= 299 {
		o.Kind = Delivered
		return o
	}
	o.Answer = c.excerpt(body)
	switch s := o.Status; {
	case s >= 300 && s <= 399:
		o.Kind, o.Reason = Pause, "redirect"
		o.Err = fmt.Errorf("%s redirects to %s: redirects are not followed, so that credentials stay here; set the router's url to the final address", c.host, target(resp))
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		o.Kind = Pause
		o.Err = fmt.Errorf("%s answers %d: check the router's auth", c.host, s)
	case s == http.StatusNotFound:
		o.Kind = Pause
		o.Err = fmt.Errorf("%s answers 404: check the path of the router's url", c.host)
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		o.Kind, o.After = Transient, retryAfter(resp.Header.Get("Retry-After"), time.Now())
		o.Err = fmt.Errorf("%s answers %d", c.host, s)
	case s < 200:
		o.Kind = Transient
		o.Err = fmt.Errorf("%s answers %d, which ends no request", c.host, s)
	default:
		o.Kind = Permanent
		o.Err = fmt.Errorf("%s refuses it with %d", c.host, s)
	}
	return o
}

// refused reports whether the answer may be due to some items of a batch only.
func (o Outcome) refused() bool {
	switch o.Status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// failed classifies an exchange that had no answer. The error of net/http repeats the URL, whose query may hold a
// key, so only its cause is used.
func (c *Client) failed(ctx context.Context, err error) Outcome {
	var ue *url.Error
	timeout := false
	if errors.As(err, &ue) {
		timeout = ue.Timeout()
		err = ue.Err
	}
	var (
		op   *net.OpError
		dns  *net.DNSError
		host x509.HostnameError
		auth x509.UnknownAuthorityError
		inv  x509.CertificateInvalidError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
		al   tls.AlertError
	)
	if o, refused := c.refusedTarget(err); refused {
		return o
	}
	switch {
	case ctx.Err() != nil:
		return Outcome{Kind: Aborted, Reason: "stopped", Err: fmt.Errorf("send to %s: %w", c.host, context.Cause(ctx))}
	case errors.As(err, &dns):
		return Outcome{Kind: Pause, Reason: "dns", Err: fmt.Errorf("%s cannot be found: %w", c.host, err)}
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return Outcome{Kind: Pause, Reason: "unreachable", Err: fmt.Errorf("%s cannot be reached: %w", c.host, err)}
	case errors.As(err, &cert), errors.As(err, &host), errors.As(err, &auth), errors.As(err, &inv), errors.As(err, &rec), errors.As(err, &al):
		return Outcome{Kind: Pause, Reason: "tls", Err: fmt.Errorf("%s cannot be trusted: %w", c.host, err)}
	case timeout:
		return Outcome{Kind: Transient, Reason: "timeout", Err: fmt.Errorf("%s did not answer within %s", c.host, c.cfg.Timeout)}
	default:
		return Outcome{Kind: Transient, Reason: "broken", Err: fmt.Errorf("the connection to %s broke: %w", c.host, unquoted(err))}
	}
}

// unquoted is an error without what net/http quotes in it of an answer that is no HTTP: that may be the credentials or
// the statements of the request. Errors of the network quote nothing.
func unquoted(err error) error {
	text := err.Error()
	i := strings.IndexByte(text, '"')
	if i < 0 {
		return err
	}
	return errors.New(strings.TrimRight(text[:i], " :") + " (it is not shown)")
}

// maxTarget is the longest address of a redirect that is shown, in bytes.
const maxTarget = 100

// target names where a redirect points, without its query.
func target(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "an unreadable address"
	}
	if text := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(); len(text) <= maxTarget {
		return text
	}
	return "an address of more than " + strconv.Itoa(maxTarget) + " bytes"
}

// retryAfter reads seconds or a date; nonsense and the past are 0, long waits are cut to MaxRetryAfter.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseUint(v, 10, 64); err == nil {
		if s > uint64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(s) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		return MaxRetryAfter
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), 0), MaxRetryAfter)
}

// excerpt returns the beginning of an answer as one line of clean text without the client's secrets.
func (c *Client) excerpt(body []byte) string {
	// All of it is scrubbed before it is cut, so that no half of a secret stays at the end.
	s := c.scrub.Replace(strings.ToValidUTF8(string(body), "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= MaxAnswer {
		return s
	}
	s = s[:MaxAnswer-len("…")]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
