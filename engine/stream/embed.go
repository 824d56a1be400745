package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Defaults of the embedded server.
const (
	// DefaultMaxPayload is the largest message, in bytes: above the largest event and its statements.
	DefaultMaxPayload = 16 << 20
	// DefaultMaxStore bounds the store directory, in bytes: above the sum of the streams' and the bucket's bounds, which
	// the server sets apart for them.
	DefaultMaxStore = 10 << 30
	// readyWait is how long the server may take to start; recovering a large store takes time.
	readyWait = 60 * time.Second
	// handshake is how long a client may take to agree on encryption.
	handshake = 10 * time.Second
)

// EmbeddedOptions are the settings of an embedded server.
type EmbeddedOptions struct {
	// StoreDir holds the streams. It is made if absent and locked against a second server.
	StoreDir string
	// Listen is host:port for clients outside the process, port 0 for a free one; "" listens nowhere.
	Listen string
	// Relaxed leaves the disk writes to the system, which may lose what was acknowledged in the last two minutes
	// when the machine (not just the process) fails. By default every acknowledged message is on the disk.
	Relaxed bool
	// MaxPayload is the largest message; 0 means DefaultMaxPayload.
	MaxPayload int32
	// MaxStore bounds the store; 0 means DefaultMaxStore.
	MaxStore int64
	// Token, or User and Password, if set, are asked of clients outside the process; Connect gives them.
	Token, User, Password string
	// TLS, if set, encrypts the connections from outside the process.
	TLS *tls.Config
	// Opening, if set, is called with the directory locked before the server opens it; its error is that of
	// StartEmbedded. Closed, if set, is called after the server has closed it, still locked.
	Opening, Closed func() error
	// Logger gets the server's warnings and errors; nil means none.
	Logger *slog.Logger
}

// Embedded is a NATS server inside the process. Close it after all connections to it.
type Embedded struct {
	server  *server.Server
	lock    *lock
	login   nats.Option // nil where nothing is asked for
	tls     bool
	options *server.Options
	closed  func() error
}

// StartEmbedded locks the store directory and starts a server on it. Errors: ErrLocked, ErrOptions, or what the
// system says (an address in use).
func StartEmbedded(o EmbeddedOptions) (*Embedded, error) {
	if o.StoreDir == "" {
		return nil, fmt.Errorf("%w: nats.store is empty: name a directory", ErrOptions)
	}
	so := &server.Options{
		ServerName: "erbd", JetStream: true, StoreDir: o.StoreDir, NoSigs: true, SyncAlways: !o.Relaxed,
		MaxPayload: o.MaxPayload, JetStreamMaxStore: o.MaxStore, JetStreamMaxMemory: 64 << 20,
		Authorization: o.Token, Username: o.User, Password: o.Password, DontListen: o.Listen == "",
		TLSConfig: o.TLS,
	}
	if o.TLS != nil {
		so.TLSTimeout, so.AuthTimeout = handshake.Seconds(), (handshake + time.Second).Seconds()
	}
	if so.MaxPayload == 0 {
		so.MaxPayload = DefaultMaxPayload
	}
	if so.JetStreamMaxStore == 0 {
		so.JetStreamMaxStore = DefaultMaxStore
	}
	so.MaxPending = max(server.MAX_PENDING_SIZE, 4*int64(so.MaxPayload))
	if so.MaxPayload < 0 || so.JetStreamMaxStore < 0 {
		return nil, fmt.Errorf("%w: sizes must not be negative", ErrOptions)
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, fmt.Errorf("%w: nats.listen: %w: write it as 127.0.0.1:4222", ErrOptions, err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%w: nats.listen: port %q is no number from 0 to 65535", ErrOptions, port)
		}
		so.Host, so.Port = host, int(n)
		if n == 0 {
			so.Port = server.RANDOM_PORT
		} else if l, err := net.Listen("tcp", o.Listen); err != nil { // the server itself only logs it and waits
			return nil, fmt.Errorf("nats.listen: %w: stop what listens there or choose another address", err)
		} else if err = l.Close(); err != nil {
			return nil, fmt.Errorf("nats.listen: %w", err)
		}
	}
	l, err := lockDir(o.StoreDir)
	if err != nil {
		return nil, err
	}
	if o.Opening != nil {
		err = o.Opening()
	}
	if err = errors.Join(err, forgetBatches(o.StoreDir)); err != nil {
		_ = l.release()
		return nil, err
	}
	ns, err := server.NewServer(so)
	if err != nil {
		_ = l.release()
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if o.Logger != nil {
		ns.SetLoggerV2(&serverLog{o.Logger}, false, false, false)
	}
	ns.Start()
	e := &Embedded{server: ns, options: so, lock: l, tls: o.TLS != nil, closed: o.Closed}
	switch {
	case o.Token != "":
		e.login = nats.Token(o.Token)
	case o.User != "":
		e.login = nats.UserInfo(o.User, o.Password)
	}
	if !ns.ReadyForConnections(readyWait) || !ns.JetStreamEnabled() {
		_ = e.Close()
		return nil, fmt.Errorf("%w: the embedded server did not get ready on %s: see its log lines", ErrNoJetStream, o.StoreDir)
	}
	return e, nil
}

// URL returns the address for clients outside the process, "" when it listens nowhere.
func (e *Embedded) URL() string {
	if a, ok := e.server.Addr().(*net.TCPAddr); ok {
		if e.tls {
			return "tls://" + a.String()
		}
		return "nats://" + a.String()
	}
	return ""
}

// Connect returns a connection that stays inside the process.
func (e *Embedded) Connect(name string) (*nats.Conn, error) {
	opts := []nats.Option{nats.InProcessServer(e.server), nats.Name(name), nats.MaxReconnects(-1)}
	if e.login != nil {
		opts = append(opts, e.login)
	}
	nc, err := nats.Connect("", opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded server: %w", err)
	}
	return nc, nil
}

// Close stops the server, waits for it and unlocks the store directory. Closing twice is fine.
func (e *Embedded) Close() error {
	e.server.Shutdown()
	e.server.WaitForShutdown()
	var err error
	if e.closed != nil {
		err, e.closed = e.closed(), nil
	}
	return errors.Join(err, e.lock.release())
}

// serverLog hands the server's own log lines on; its notices are many and are debug lines here.
type serverLog struct{ l *slog.Logger }

func (s *serverLog) Noticef(f string, v ...any) { s.l.Debug("nats: " + fmt.Sprintf(f, v...)) }
func (s *serverLog) Warnf(f string, v ...any) {
	if strings.HasPrefix(f, "Maximum payloads over") {
		return // chosen: DefaultMaxPayload must exceed the largest event
	}
	s.l.Warn("nats: " + fmt.Sprintf(f, v...))
}
func (s *serverLog) Fatalf(f string, v ...any) { s.l.Error("nats: " + fmt.Sprintf(f, v...)) }
func (s *serverLog) Errorf(f string, v ...any) {
	if strings.HasPrefix(f, "  Failed restoring partial batch write") && len(v) > 1 && v[1] == RawStream {
		return // chosen: see forgetBatches
	}
	s.l.Error("nats: " + fmt.Sprintf(f, v...))
}
func (s *serverLog) Debugf(string, ...any) {}
func (s *serverLog) Tracef(string, ...any) {}
