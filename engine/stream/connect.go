package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/plainfile"
)

// ConnectOptions describe an external server or cluster. At most one of Creds, NKey, Token and User is used.
type ConnectOptions struct {
	// URL is one or more addresses, parted by commas: nats://host:4222 or tls://host:4222.
	URL string
	// Creds is the path of a credentials file (JWT and seed).
	Creds string
	// NKey is the path of a file with an nkey seed.
	NKey string
	// Token, or User and Password.
	Token, User, Password string
	// CA is the path of the certificates to trust; Cert and Key those of the client's own certificate.
	CA, Cert, Key string
	// TLS, if set, is used instead of CA, Cert and Key.
	TLS *tls.Config
	// Name of the connection as the server shows it; "" means erbd.
	Name string
	// Timeout of the first connection; 0 means 10 s.
	Timeout time.Duration
}

// Connect connects to an external server and reconnects for ever afterwards. Errors wrap ErrOptions, or say what the
// network says; they hold no secrets. Close the connection when done.
func Connect(o ConnectOptions) (*nats.Conn, error) {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Name == "" {
		o.Name = "erbd"
	}
	shown, err := shownURLs(o.URL)
	if err != nil {
		return nil, err
	}
	opts := []nats.Option{nats.Name(o.Name), nats.Timeout(o.Timeout), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second),
		nats.ReconnectJitter(500*time.Millisecond, time.Second), nats.PingInterval(20 * time.Second)}
	ways := 0
	if o.Creds != "" {
		ways++
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	if o.NKey != "" {
		ways++
		opt, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("%w: nats.nkey: %w", ErrOptions, err)
		}
		opts = append(opts, opt)
	}
	if o.Token != "" {
		ways++
		opts = append(opts, nats.Token(o.Token))
	}
	if o.User != "" {
		ways++
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	}
	if ways > 1 {
		return nil, fmt.Errorf("%w: several of nats.creds, nats.nkey, nats.token and nats.user are set: keep one", ErrOptions)
	}
	if (o.Cert == "") != (o.Key == "") {
		return nil, fmt.Errorf("%w: nats.tls needs cert and key together", ErrOptions)
	}
	switch {
	case o.TLS != nil:
		opts = append(opts, nats.Secure(o.TLS))
	case o.CA != "" || o.Cert != "":
		cfg, err := tlsConfig(o)
		if err != nil {
			return nil, err
		}
		opts = append(opts, nats.Secure(cfg))
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to nats at %s: %w", shown, err)
	}
	return nc, nil
}

// shownURLs returns the addresses without credentials.
func shownURLs(raw string) (string, error) {
	var out []string
	for _, s := range strings.Split(raw, ",") {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return "", fmt.Errorf("%w: nats.url cannot be read: write it as nats://host:4222", ErrOptions)
		}
		out = append(out, u.Scheme+"://"+u.Host)
	}
	return strings.Join(out, ","), nil
}

func tlsConfig(o ConnectOptions) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := plainfile.Read(o.CA)
		if err != nil {
			return nil, fmt.Errorf("%w: nats.tls.ca: %w", ErrOptions, err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: nats.tls.ca: %s holds no PEM certificate", ErrOptions, o.CA)
		}
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: nats.tls: %w", ErrOptions, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Features is what a server can do, by its API level rather than its version.
type Features struct {
	// Level is the JetStream API level: 0 before 2.11, 1 in 2.11, 2 in 2.12, 4 in 2.14.
	Level int
	// Version is what the server calls itself.
	Version string
	// Atomic: batches are published as a whole or not at all (level 2).
	Atomic bool
	// Warning says what is known to be wrong with the version, "" when nothing is.
	Warning string
}

// Detect asks a server what it can do. Errors: ErrNoJetStream, ErrServerTooOld.
func Detect(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) (Features, error) {
	info, err := js.AccountInfo(ctx)
	if err != nil {
		if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return Features{}, fmt.Errorf("%w: enable it for this account: %w", ErrNoJetStream, err)
		}
		return Features{}, fmt.Errorf("%w: ask for account information: %w", ErrNoJetStream, err)
	}
	f := Features{Level: info.API.Level, Version: nc.ConnectedServerVersion()}
	if f.Level < 1 {
		return f, fmt.Errorf("%w: version %s cannot pause consumers: use 2.12.9, 2.14.1 or later", ErrServerTooOld, f.Version)
	}
	f.Atomic = f.Level >= 2
	if older(f.Version, 2, 12, 9) || (!older(f.Version, 2, 13, 0) && older(f.Version, 2, 14, 1)) {
		f.Warning = "nats server " + f.Version + " may lose messages of replicated work queues: use 2.12.9, 2.14.1 or later"
	}
	return f, nil
}

// older reports whether a version is below major.minor.patch. What cannot be read is not.
func older(version string, want ...int) bool {
	version, _, _ = strings.Cut(version, "-")
	for i, part := range strings.Split(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || i >= len(want) {
			return false
		}
		if n != want[i] {
			return n < want[i]
		}
	}
	return false
}
