package mysql_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup/mysql"
)

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	require.NoError(t, os.WriteFile(junk, []byte("junk"), 0o600))
	const dsn = "erbd:s3cret@tcp(db:3306)/edxapp"
	tests := []struct {
		config mysql.Config
		want   string
	}{
		{mysql.Config{}, "unusable mysql settings: lookup.dsn names no data base: write it as user:password@tcp(host:3306)/database"},
		{mysql.Config{DSN: "mysql://erbd:s3cret@db/edxapp"}, "unusable mysql settings: lookup.dsn is a url: write it as user:password@tcp(host:3306)/database"},
		{mysql.Config{DSN: "erbd:s3cret@tcp(db:3306)/"}, "unusable mysql settings: lookup.dsn names no data base: write it as user:password@tcp(host:3306)/database"},
		{mysql.Config{DSN: "erbd:s3cret@tcp(db:3306"}, "unusable mysql settings: lookup.dsn cannot be read: write it as user:password@tcp(host:3306)/database"},
		{mysql.Config{DSN: "erbd:s3cret@tcp(db:3306)/edxapp?timeout=s3cret"}, "unusable mysql settings: lookup.dsn cannot be read: write it as user:password@tcp(host:3306)/database"},
		{mysql.Config{DSN: dsn + "?tls=s3cret"}, "unusable mysql settings: lookup.dsn cannot be read: write it as user:password@tcp(host:3306)/database"},
		{mysql.Config{DSN: dsn, Cert: "a"}, "unusable mysql settings: lookup.tls needs cert and key together"},
		{mysql.Config{DSN: dsn, CA: filepath.Join(dir, "none")}, "unusable mysql settings: lookup.tls.ca: stat " + filepath.Join(dir, "none") + ": no such file or directory"},
		{mysql.Config{DSN: dsn, CA: junk}, "unusable mysql settings: lookup.tls.ca: " + junk + " holds no PEM certificate"},
		{mysql.Config{DSN: dsn, Cert: junk, Key: junk}, "unusable mysql settings: lookup.tls: tls: failed to find any PEM data in certificate input"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			_, err := mysql.Open(tt.config)
			require.ErrorIs(t, err, mysql.ErrConfig)
			assert.Equal(t, tt.want, err.Error())
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func TestExposed(t *testing.T) {
	for dsn, want := range map[string]string{
		"u:p@tcp(db:3306)/lms": "db", "u:p@tcp(db:3306)/lms?tls=false": "db", "u:p@tcp(db:3306)/lms?tls=preferred": "db", "u:p@tcp([2001:db8::1]:3306)/lms": "2001:db8::1",
		"u:p@tcp(db:3306)/lms?tls=true": "", "u:p@tcp(127.0.0.1:3306)/lms": "", "u:p@tcp(localhost)/lms": "", "u:p@unix(/run/db)/lms": "", "nonsense": "",
	} {
		assert.Equal(t, want, mysql.Config{DSN: dsn}.Exposed(), dsn)
	}
	assert.Empty(t, mysql.Config{DSN: "u:p@tcp(db:3306)/lms", CA: "ca.pem"}.Exposed())
}
