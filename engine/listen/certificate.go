// Package listen secures what this program listens on: certificates that are renewed while it runs, clients on the
// same machine that know them, and pages that ask for a password.
package listen

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// ErrCertificate is wrapped by the errors of a certificate that cannot be used; they name its file.
var ErrCertificate = errors.New("unusable certificate")

// Certificate is the certificate of a server with its key. Files that change are read again with the next connection,
// so that a renewed certificate needs no restart; while they cannot be read, the one before is used. It is safe for
// concurrent use.
type Certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate
	version [2]version
}

// version tells whether a file changed.
type version struct {
	modified time.Time
	size     int64
}

// LoadCertificate reads the files of a certificate, with its chain, and its key, in PEM form. Error: ErrCertificate.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	c.version = c.look()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %s and %s: %w", ErrCertificate, certFile, keyFile, err)
	}
	c.pair = &pair
	return c, nil
}

// Config is for a server: TLS 1.2 and later.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
}

func (c *Certificate) look() (v [2]version) {
	for i, file := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(file); err == nil {
			v[i] = version{info.ModTime(), info.Size()}
		}
	}
	return v
}

func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.look()
	if now == c.version {
		return c.pair
	}
	// Certificate and key are two files: where they do not fit yet, the next connection tries again.
	if pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
		c.pair, c.version = &pair, now
	}
	return c.pair
}

// Pinned is for a client on the machine of the server, which reads the certificate from the server's file. It takes
// that certificate and no other, whatever name or date stands in it. Error: ErrCertificate.
func Pinned(certFile string) (*tls.Config, error) {
	want, err := leaf(certFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The chain and the name are not looked at, the certificate itself is, which is stricter.
		InsecureSkipVerify: true, //nolint:gosec // see VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) error {
			got := state.PeerCertificates
			if len(got) > 0 && bytes.Equal(got[0].Raw, want.Raw) {
				return nil
			}
			// The file may have been renewed while the connection was waited for.
			if again, err := leaf(certFile); err == nil && len(got) > 0 && bytes.Equal(got[0].Raw, again.Raw) {
				return nil
			}
			return fmt.Errorf("%w: the server has another one than %s", ErrCertificate, certFile)
		},
	}, nil
}

// leaf is the first certificate of a file.
func leaf(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, fmt.Errorf("%w: %s holds no PEM certificate", ErrCertificate, file)
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCertificate, file, err)
		}
		return c, nil
	}
}
