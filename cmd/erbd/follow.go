package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/follow"
	"github.com/erbd/erbd/engine/stream"
)

// maxRefusedShown bounds the refused lines that one run shows.
const maxRefusedShown = 100

// follow publishes a log and what is appended to it until ctx ends.
func (a *app) follow(ctx context.Context, f *publishFlags, args []string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	switch {
	case len(args) != 1 || args[0] == "-":
		return cli.Misuse(errors.New("--follow needs exactly one log"), "start one process for each log")
	case f.again:
		return cli.Misuse(errors.New("--again and --follow exclude each other"), "to send the log anew, remove the state file")
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	p := &lasting{app: a, settings: s}
	defer p.close()
	if err := p.connect(ctx); hopeless(err) {
		return err
	}
	refused := 0
	start := time.Now()
	sum, err := follow.Run(ctx, p, args[0], follow.Options{
		State: f.state, Rate: f.rate.perSecond,
		Limits: event.Limits{MaxBytes: int(s.Limits.EventBytes), MaxDepth: s.Limits.EventDepth},
		Say:    func(text string) { fmt.Fprintf(a.stderr, "erbd: %s\n", text) },
		Refused: func(file string, at int64, why error) {
			switch refused++; {
			case refused <= maxRefusedShown:
				fmt.Fprintf(a.stderr, "refused: %s, byte %d: %s\n", file, at, why)
			case refused == maxRefusedShown+1:
				fmt.Fprintln(a.stderr, "refused: more, which are counted only")
			}
		},
	})
	switch {
	case errors.Is(err, follow.ErrLocked):
		return cli.Fail(err, "one process follows a log; for another log name another --state")
	case err != nil:
		return err
	}
	return a.writeFollowed(f, sum, time.Since(start))
}

func (a *app) writeFollowed(f *publishFlags, sum *follow.Summary, took time.Duration) (err error) {
	if f.output == "json" {
		enc := json.NewEncoder(a.stdout)
		err = enc.Encode(struct {
			*follow.Summary
			Seconds float64 `json:"seconds"`
		}{sum, took.Seconds()})
	} else {
		text := fmt.Sprintf("published %d events in %s", sum.Published, took.Round(time.Millisecond))
		if sum.Refused > 0 {
			text += fmt.Sprintf("; refused: %d", sum.Refused)
		}
		_, err = fmt.Fprintln(a.stdout, text)
	}
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// hopeless reports whether an error of connecting is one that waiting does not cure.
func hopeless(err error) bool {
	return errors.Is(err, stream.ErrOptions) || errors.Is(err, stream.ErrServerTooOld) || errors.Is(err, nats.ErrAuthorization)
}

// lasting is a publisher that connects when it has to, again and again. It is for one goroutine.
type lasting struct {
	app      *app
	settings *config.Settings
	bus      *bus
	pub      *stream.Publisher
}

// Publish stores messages as stream.Publisher does, once there is a server.
func (l *lasting) Publish(ctx context.Context, msgs ...stream.Message) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	return l.pub.Publish(ctx, msgs...)
}

func (l *lasting) connect(ctx context.Context) error {
	if l.bus != nil && !l.bus.nc.IsClosed() {
		return nil
	}
	l.close()
	b, err := l.app.connect(ctx, l.settings, "erbd publish")
	if err != nil {
		return err
	}
	l.bus, l.pub = b, stream.NewPublisher(b.nc, b.js, b.features, b.durable)
	return nil
}

func (l *lasting) close() {
	if l.bus != nil {
		l.bus.close()
	}
	l.bus = nil
}
