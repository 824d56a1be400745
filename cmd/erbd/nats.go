package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/listen"
	"github.com/erbd/erbd/engine/stream"
)

// bus is a connection to the message server that a daemon uses.
type bus struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	features stream.Features
	// durable says that the server writes each message to the disk before it answers.
	durable bool
}

func (b *bus) close() { b.nc.Close() }

// connect connects a command to the servers of nats.url, or to the embedded server of a running daemon.
func (a *app) connect(ctx context.Context, s *config.Settings, name string) (*bus, error) {
	opt, err := a.connectOptions(s, name)
	if err != nil {
		return nil, err
	}
	nc, err := stream.Connect(opt)
	if err != nil {
		return nil, unreachable(s, err)
	}
	b := &bus{nc: nc, durable: s.NATS.URL != "" || s.NATS.SyncAlways}
	if b.js, err = jetstream.New(nc); err == nil {
		b.features, err = stream.Detect(ctx, nc, b.js)
	}
	if err != nil {
		b.close()
		hint := "the server must be one that erbd serve works with"
		if errors.Is(err, context.DeadlineExceeded) {
			hint = "its disk may be full or broken: \"erbd status\" says why nothing is accepted"
		}
		return nil, cli.Fail(err, hint)
	}
	return b, nil
}

func (a *app) connectOptions(s *config.Settings, name string) (stream.ConnectOptions, error) {
	n := s.NATS
	opt := stream.ConnectOptions{Name: name, Timeout: 5 * time.Second}
	var err error
	if opt.Token, err = n.Token.Resolve(a.lookupEnv); err != nil {
		return opt, fmt.Errorf("nats.token: %w", err)
	}
	if opt.Password, err = n.Password.Resolve(a.lookupEnv); err != nil {
		return opt, fmt.Errorf("nats.password: %w", err)
	}
	opt.User = n.User
	if n.URL != "" {
		opt.URL, opt.Creds, opt.NKey = n.URL, n.Credentials, n.NKey
		opt.CA, opt.Cert, opt.Key = n.TLS.CA, n.TLS.Cert, n.TLS.Key
		return opt, nil
	}
	opt.URL = "nats://" + reachable(n.Listen)
	if n.ListenTLS.IsSet() {
		if opt.TLS, err = listen.Pinned(n.ListenTLS.Cert); err != nil {
			return opt, fmt.Errorf("nats.listen_tls: %w", err)
		}
	}
	return opt, nil
}

// reachable is the address at which this machine reaches what listens on another one.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// unreachable adds to an error of connecting what may be done about it.
func unreachable(s *config.Settings, err error) error {
	switch {
	case errors.Is(err, stream.ErrOptions):
		return err
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return cli.Fail(err, "check nats.user and nats.password, nats.token, nats.credentials or nats.nkey")
	case s.NATS.URL != "":
		return cli.Fail(err, "is the server of nats.url running, and does this machine reach it?")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, nats.ErrNoServers):
		return cli.Fail(fmt.Errorf("nothing listens at %s: %w", reachable(s.NATS.Listen), err),
			`start the daemon with the same settings: erbd serve`, "for another server set nats.url, for another address nats.listen")
	}
	return cli.Fail(err, "is it a daemon of erbd that listens on nats.listen?")
}

// needIntake returns an error unless the server has the streams of a daemon.
func (b *bus) needIntake(ctx context.Context) (jetstream.Stream, error) {
	raw, err := b.js.Stream(ctx, stream.RawStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, cli.Fail(fmt.Errorf("the message server has no stream %s", stream.RawStream), "erbd serve makes it: start it once with the same settings")
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", stream.RawStream, err)
	}
	return raw, nil
}
