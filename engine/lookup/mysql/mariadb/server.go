// Package mariadb starts real MariaDB servers with the data of an LMS, for tests.
package mariadb

import (
	"bytes"
	"context"
	"crypto/md5"
	"database/sql"
	_ "embed" // the tables
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// startTime is how long a server may take to start or stop.
const startTime = 60 * time.Second

//go:embed openedx.sql
var openedx string

// Server is a MariaDB server on data of its own. It has the data base edxapp
// with the tables that Open edX makes, and some users:
//
//   - 7 ada, 8 josé, 9 123456, 10 7, each with external ids;
//   - 11 retired__user_52c6ab, and 12 new, who has no external ids;
//   - 100 learner100 to 2099 learner2099.
//
// External ids are those of [ExternalID]. The courses are
// course-v1:edX+DemoX+Demo_Course and edX/Old/2012, which has no name. The
// account erbd can read all that, and nothing else.
type Server struct {
	t      testing.TB
	binary string
	dir    string
	args   []string
	cmd    *exec.Cmd
	ended  chan error
}

// mariadbd finds the server program. Where there is none the test cannot say
// anything: it fails if ERBD_TEST_MARIADB is "required".
func mariadbd(t testing.TB) (path string, ok bool) {
	for _, name := range []string{"mariadbd", "/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	if os.Getenv("ERBD_TEST_MARIADB") == "required" {
		require.Fail(t, "no MariaDB server", "ERBD_TEST_MARIADB=required, but there is no mariadbd: run .ci/mariadb.sh")
	}
	t.Log("nothing was tested: there is no mariadbd; .ci/mariadb.sh installs it, and ERBD_TEST_MARIADB=required makes its absence a failure")
	return "", false
}

// New makes the data and starts the server, with further options; it stops at
// the end of the test. Without the server program nothing can be tested: it
// returns false, or fails the test if ERBD_TEST_MARIADB is "required".
func New(t testing.TB, args ...string) (*Server, bool) {
	binary, ok := mariadbd(t)
	if !ok {
		return nil, false
	}
	dir, err := os.MkdirTemp("", "erbd") // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{t: t, binary: binary, dir: dir}
	s.args = append([]string{
		"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M",
		"--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve", "--tmpdir=" + dir,
	}, args...)
	if os.Geteuid() == 0 {
		s.args = append(s.args, "--user=root")
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	s.bootstrap()
	s.Start()
	t.Cleanup(s.Stop)
	return s, true
}

// bootstrap fills the data folder.
func (s *Server) bootstrap() {
	input := []io.Reader{strings.NewReader("CREATE DATABASE mysql;\nUSE mysql;\n")}
	for _, name := range []string{"mysql_system_tables.sql", "mysql_system_tables_data.sql"} {
		content, err := os.ReadFile(filepath.Join("/usr/share/mysql", name))
		if err != nil {
			content, err = os.ReadFile(filepath.Join("/usr/share/mariadb", name))
		}
		require.NoError(s.t, err)
		input = append(input, bytes.NewReader(content))
	}
	cmd := exec.Command(s.binary, append(s.args, "--bootstrap")...)
	cmd.Stdin = io.MultiReader(input...)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, string(out))

	s.Start()
	defer s.Stop()
	s.Exec("", openedx)
	s.Exec("edxapp", `CREATE USER erbd@'%' IDENTIFIED BY 's3cret/@:?';
GRANT SELECT ON edxapp.auth_user TO erbd@'%';
GRANT SELECT ON edxapp.external_user_ids_externalid TO erbd@'%';
GRANT SELECT ON edxapp.external_user_ids_externalidtype TO erbd@'%';
GRANT SELECT ON edxapp.course_overviews_courseoverview TO erbd@'%'`)
}

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s") }

// DSN is the data source of the account erbd.
func (s *Server) DSN() string { return "erbd:s3cret/@:?@unix(" + s.Socket() + ")/edxapp" }

// Start starts the server and waits until it answers.
func (s *Server) Start() {
	log, err := os.Create(filepath.Join(s.dir, "log"))
	require.NoError(s.t, err)
	args := append([]string{}, s.args...)
	if !strings.Contains(strings.Join(args, " "), "--port") {
		args = append(args, "--skip-networking")
	}
	s.cmd = exec.Command(s.binary, append(args, "--socket="+s.Socket(), "--pid-file="+filepath.Join(s.dir, "pid"))...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	require.NoError(s.t, s.cmd.Start())
	_ = log.Close()
	s.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(s.cmd, s.ended)
	require.Eventually(s.t, func() bool {
		c, err := net.Dial("unix", s.Socket())
		if err == nil {
			_ = c.Close()
		}
		return err == nil || len(s.ended) > 0
	}, startTime, 20*time.Millisecond)
	if len(s.ended) > 0 {
		content, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		require.Fail(s.t, "mariadbd did not start", string(content))
	}
}

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(startTime):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

// root connects as the administrator.
func (s *Server) root(database string) *sql.DB {
	cfg := driver.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName, cfg.MultiStatements = "root", "unix", s.Socket(), database, true
	connector, err := driver.NewConnector(cfg)
	require.NoError(s.t, err)
	db := sql.OpenDB(connector)
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}

// Exec runs statements as the administrator.
func (s *Server) Exec(database, statements string, args ...any) {
	s.t.Helper()
	db := s.root(database)
	_, err := db.ExecContext(context.Background(), statements, args...)
	require.NoError(s.t, err)
	require.NoError(s.t, db.Close())
}

// Selects counts the SELECT statements that the server has taken.
func (s *Server) Selects() (n int) {
	db := s.root("")
	defer db.Close()
	var name string
	require.NoError(s.t, db.QueryRow("SHOW GLOBAL STATUS LIKE 'Com_select'").Scan(&name, &n))
	return n
}

// FreePort is a port that was free just now.
func FreePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// ExternalID is the external id of a user of the server.
func ExternalID(kind string, id int) string {
	u := uuid.UUID(md5.Sum(fmt.Appendf(nil, "%s:%d", kind, id)))
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x0f|0xa0
	return u.String()
}
