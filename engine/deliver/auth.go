package deliver

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Scheme is how a request proves who sends it.
type Scheme uint8

// The schemes. The zero value sends no credentials.
const (
	None Scheme = iota
	Basic
	Bearer
)

// ParseScheme returns the scheme of a name ("", none, basic, bearer; case does not matter), or ErrConfig.
func ParseScheme(name string) (Scheme, error) {
	switch strings.ToLower(name) {
	case "", "none":
		return None, nil
	case "basic":
		return Basic, nil
	case "bearer":
		return Bearer, nil
	default:
		return None, fmt.Errorf("%w: auth scheme %q is none of none, basic, bearer", ErrConfig, name)
	}
}

// String returns the name that ParseScheme reads.
func (s Scheme) String() string {
	switch s {
	case Basic:
		return "basic"
	case Bearer:
		return "bearer"
	default:
		return "none"
	}
}

// Auth holds credentials. Printed or logged in any way it shows its scheme only.
type Auth struct {
	Scheme   Scheme
	Username string
	Password string
	Token    string
}

// Validate returns an error that wraps ErrConfig when the scheme lacks what it needs.
func (a Auth) Validate() error {
	switch a.Scheme {
	case None:
	case Basic:
		if a.Username == "" && a.Password == "" {
			return fmt.Errorf("%w: basic auth needs username and password", ErrConfig)
		}
		if strings.Contains(a.Username, ":") {
			return fmt.Errorf("%w: the username of basic auth must not hold a colon", ErrConfig)
		}
	case Bearer:
		if a.Token == "" {
			return fmt.Errorf("%w: bearer auth needs a token", ErrConfig)
		}
		if !headerValue(a.Token) {
			return fmt.Errorf("%w: the bearer token holds characters that a header cannot carry (a line end in its file?)", ErrConfig)
		}
	default:
		return fmt.Errorf("%w: unknown auth scheme %d", ErrConfig, a.Scheme)
	}
	return nil
}

// Format implements fmt.Formatter: whatever the verb, only the scheme shows.
func (a Auth) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(a.String())) }

// String returns the scheme, never a secret.
func (a Auth) String() string { return a.Scheme.String() + " [redacted]" }

// LogValue implements slog.LogValuer.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON writes the scheme only.
func (a Auth) MarshalJSON() ([]byte, error) { return []byte(`"` + a.String() + `"`), nil }

func (a Auth) header() string {
	switch a.Scheme {
	case Basic:
		return "Basic " + a.pair()
	case Bearer:
		return "Bearer " + a.Token
	default:
		return ""
	}
}

func (a Auth) pair() string {
	return base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
}

// minHeaderSecret is the length from which the values of headers and of the query are taken for secrets.
const minHeaderSecret = 8

// scrubber replaces the secrets in an answer that echoes them. Secrets of under four bytes are left, since they
// would match by chance, and so are short values of headers and of the query.
func (cfg Config) scrubber(u *url.URL) *strings.Replacer {
	var pairs []string
	hide := func(s string, least int) {
		if len(s) < least {
			return
		}
		pairs = append(pairs, s, "[redacted]")
		if q := url.QueryEscape(s); q != s {
			pairs = append(pairs, q, "[redacted]")
		}
	}
	hide(cfg.Auth.Password, 4)
	hide(cfg.Auth.Token, 4)
	if cfg.Auth.Scheme == Basic {
		hide(cfg.Auth.pair(), 1)
	}
	for _, value := range cfg.Headers {
		hide(value, minHeaderSecret)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		hide(value, minHeaderSecret) // as it was sent
		if plain, err := url.QueryUnescape(value); err == nil && plain != value {
			hide(plain, minHeaderSecret)
		}
	}
	return strings.NewReplacer(pairs...)
}
