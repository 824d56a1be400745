// Package mysql finds users and courses in the data base of the LMS.
//
// It reads auth_user, external_user_ids_externalid, its ...externalidtype, and
// course_overviews_courseoverview, as Open edX creates them on MySQL and on
// MariaDB, and writes nothing: every session is set to read-only transactions.
// The account needs no right but SELECT on these tables.
package mysql

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/erbd/erbd/engine/netscope"
	"github.com/erbd/erbd/engine/plainfile"
)

// Errors of this package, for errors.Is. What [Source] returns otherwise is
// what the server or the network said.
var (
	// ErrConfig: the data source or the certificates cannot be used.
	ErrConfig = errors.New("unusable mysql settings")
	// ErrSchema: a table or column is not there, or the account must not read it.
	ErrSchema = errors.New("the data base cannot be read as that of an lms")
)

// DefaultTimeout bounds connecting, and each read and write on a connection.
const DefaultTimeout = 5 * time.Second

// maxConnections is how many connections are open at most: a cache asks one
// question for users and one for courses at a time.
const maxConnections = 4

// Config says where the data base is.
type Config struct {
	// DSN is user:password@tcp(host:3306)/database or user:password@unix(/socket)/database,
	// with ?tls=true where the server has a certificate that the system trusts.
	DSN string
	// CA is the path of the certificates to trust in PEM form, instead of those of the
	// system; Cert and Key are the paths of the client's own. With any of them the
	// connection is encrypted and the server's name checked, whatever the DSN says.
	CA, Cert, Key string
	// Timeout bounds connecting, and each read and write; 0 means [DefaultTimeout].
	Timeout time.Duration
}

// driverConfig checks the settings. Its errors wrap ErrConfig and tell nothing of the DSN.
func (c Config) driverConfig() (*driver.Config, error) {
	if strings.HasPrefix(c.DSN, "mysql://") {
		return nil, fmt.Errorf("%w: lookup.dsn is a url: write it as user:password@tcp(host:3306)/database", ErrConfig)
	}
	cfg, err := driver.ParseDSN(c.DSN)
	if err != nil { // the error may quote parts of the DSN
		return nil, fmt.Errorf("%w: lookup.dsn cannot be read: write it as user:password@tcp(host:3306)/database", ErrConfig)
	}
	if cfg.DBName == "" {
		return nil, fmt.Errorf("%w: lookup.dsn names no data base: write it as user:password@tcp(host:3306)/database", ErrConfig)
	}
	timeout := cmp.Or(c.Timeout, DefaultTimeout)
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = timeout, timeout, timeout
	cfg.Logger = &driver.NopLogger{} // all that goes wrong is returned as well
	// Keys come from events: they travel apart from the statement, as parameters.
	cfg.InterpolateParams, cfg.MultiStatements, cfg.AllowAllFiles = false, false, false
	if c.CA == "" && c.Cert == "" && c.Key == "" {
		return cfg, nil
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, fmt.Errorf("%w: lookup.tls needs cert and key together", ErrConfig)
	}
	cfg.AllowFallbackToPlaintext = false
	server := strings.Trim(cfg.Addr[:max(strings.LastIndexByte(cfg.Addr, ':'), 0)], "[]")
	if cfg.Net == "unix" {
		server = "localhost"
	}
	if cfg.TLS, err = c.tls(server); err != nil {
		return nil, err
	}
	return cfg, nil
}

// Exposed returns the host to which users and courses are asked without encryption; "" where the connection is
// encrypted or stays on this machine, and where the settings cannot be read.
func (c Config) Exposed() string {
	cfg, err := driver.ParseDSN(c.DSN)
	if err != nil || cfg.Net != "tcp" || c.CA != "" || c.Cert != "" {
		return ""
	}
	switch cfg.TLSConfig {
	case "", "false", "preferred":
	default:
		return ""
	}
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil || netscope.OfHost(host) == netscope.Loopback {
		return ""
	}
	return host
}

func (c Config) tls(server string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: server}
	if c.CA != "" {
		pem, err := plainfile.Read(c.CA)
		if err != nil {
			return nil, fmt.Errorf("%w: lookup.tls.ca: %w", ErrConfig, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: lookup.tls.ca: %s holds no PEM certificate", ErrConfig, c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: lookup.tls: %w", ErrConfig, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
