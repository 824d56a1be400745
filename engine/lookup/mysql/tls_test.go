package mysql_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup/mysql"
	"github.com/erbd/erbd/engine/lookup/mysql/mariadb"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.sign("ca", a.cert, nil)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name+".pem") }

// issue writes NAME.pem and NAME-key.pem.
func (a *authority) issue(name string) {
	a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.key)
}

func (a *authority) sign(name string, cert *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, by)
	require.NoError(a.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(name, "CERTIFICATE", der)
	a.write(name+"-key", "PRIVATE KEY", private)
	return key
}

func (a *authority) write(name, kind string, content []byte) {
	require.NoError(a.t, os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	ca.issue("server")
	ca.issue("client")
	stranger := newAuthority(t)
	port := mariadb.FreePort(t)
	db, ok := mariadb.New(t, "--port="+port, "--bind-address=127.0.0.1", "--ssl-ca="+ca.path("ca"), "--ssl-cert="+ca.path("server"), "--ssl-key="+ca.path("server-key"))
	if !ok {
		return
	}
	db.Exec("", "ALTER USER erbd@'%' REQUIRE X509")
	dsn := "erbd:s3cret/@:?@tcp(127.0.0.1:" + port + ")/edxapp"

	require.NoError(t, open(t, mysql.Config{DSN: dsn, CA: ca.path("ca"), Cert: ca.path("client"), Key: ca.path("client-key")}).Check(t.Context()))

	err := open(t, mysql.Config{DSN: dsn}).Check(t.Context())
	require.ErrorIs(t, err, mysql.ErrSchema, "not encrypted")
	err = open(t, mysql.Config{DSN: dsn, CA: ca.path("ca")}).Check(t.Context())
	require.ErrorIs(t, err, mysql.ErrSchema, "no certificate of the client")
	err = open(t, mysql.Config{DSN: dsn + "?tls=skip-verify", CA: stranger.path("ca"), Cert: ca.path("client"), Key: ca.path("client-key")}).Check(t.Context())
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown, "the settings are stricter than the dsn")
	assert.NotContains(t, err.Error(), "s3cret")
}
