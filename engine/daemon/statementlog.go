package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/erbd/erbd/engine/config"
)

const (
	loggingOff    = config.LoggingOff
	loggingStdout = config.LoggingStdout
	backendXAPI   = "xapi"
)

// statementLogs are the logs of all statements, one a backend: xapi_tracking and caliper_tracking. A backend whose
// log is off has none. It is safe for concurrent use.
type statementLogs struct {
	stdout io.Writer
	log    *slog.Logger
	mu     sync.Mutex
	logs   map[string]*statementLog
}

type statementLog struct {
	where  string
	w      io.Writer
	closer io.Closer
}

func newStatementLogs(stdout io.Writer, log *slog.Logger) *statementLogs {
	return &statementLogs{stdout: stdout, log: log, logs: map[string]*statementLog{}}
}

// apply opens the logs that the snapshot wants and closes those that it does not want any more.
func (l *statementLogs) apply(snap *Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, open := range l.logs {
		if b := snap.backend(name); b == nil || b.Logging != open.where {
			l.close(name)
		}
	}
	for _, b := range snap.Backends {
		if b.Logging == loggingOff || l.logs[b.Name] != nil {
			continue
		}
		if b.Logging == loggingStdout {
			l.logs[b.Name] = &statementLog{where: b.Logging, w: l.stdout}
			continue
		}
		file := &lumberjack.Logger{
			Filename:   b.Logging,
			MaxSize:    max(1, int(snap.Settings.StatementLog.MaxSize>>20)),
			MaxBackups: snap.Settings.StatementLog.Keep,
		}
		l.logs[b.Name] = &statementLog{where: b.Logging, w: file, closer: file}
	}
}

// write appends lines to the log of a backend. A log that cannot be written costs no statement: it is reported.
func (l *statementLogs) write(backend string, lines []byte) {
	if len(lines) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.logs[backend]; s != nil {
		if _, err := s.w.Write(lines); err != nil {
			l.log.Error("the statement log cannot be written", "backend", backend, "error", err)
		}
	}
}

func (l *statementLogs) close(name string) error {
	s := l.logs[name]
	delete(l.logs, name)
	if s.closer == nil {
		return nil
	}
	if err := s.closer.Close(); err != nil {
		return fmt.Errorf("statement log of %s: %w", name, err)
	}
	return nil
}

// Reopen closes the files, so that the next statement opens them anew: after something else has rotated them.
func (l *statementLogs) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.logs {
		if s.closer != nil {
			s.closer.Close() //nolint:errcheck // lumberjack opens the file again at the next write
		}
	}
}

// Close closes all logs.
func (l *statementLogs) Close() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.logs {
		err = errors.Join(err, l.close(name))
	}
	return err
}
