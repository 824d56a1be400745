package main

import (
	"context"
	stdlog "log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/daemon"
	"github.com/erbd/erbd/engine/watch"
)

func newServeCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: take events from NATS and deliver statements to the record stores",
		Long: `Run the daemon. Events are published to any subject under erb.raw (by the LMS,
or by "erbd publish"), transformed for each enabled backend, and delivered to
the routers that want them. NATS is embedded unless nats.url names servers.

SIGTERM and SIGINT drain and stop; a second one exits at once. SIGHUP reads
settings, mappings, filters, routers and look-ups anew and reopens statement
logs; a change of any of these files does the same within a second. A fault in
any file keeps what is in force. What worked last is remembered in the folder of
the setting state, so that a start while a file is broken goes on with it;
"erbd status" says so.`,
		Example: `  erbd serve --config erbd.yaml
  erbd serve --routers routers.yaml --lookup.path lms.json --lms.root_url https://lms.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
	a.addSettings(cmd, "nats.url", "nats.listen", "nats.store", "http.listen", "lookup.path", "mappings", "filters", "routers", "profile", "lms.root_url")
	return cmd
}

func (a *app) serve(ctx context.Context) error {
	srv, err := a.newServer(ctx)
	if err != nil {
		return err
	}
	stdlog.SetFlags(0)
	stdlog.SetOutput(httpLog{srv.log})
	return srv.run(ctx)
}

// server is a daemon with what brings new configurations to it.
type server struct {
	*daemon.Daemon
	loader *loader
	log    *slog.Logger
	// quiet is how long files must rest before they are read, 0 for the default.
	quiet time.Duration
}

// newServer starts a daemon that does not serve yet: run it.
func (a *app) newServer(ctx context.Context) (*server, error) {
	s, err := a.settings()
	if err != nil {
		if s = a.recallSettings(err); s == nil {
			return nil, err
		}
	}
	log := a.logger(s)
	l := newLoader(a, s, log)
	d, err := daemon.New(ctx, daemon.Options{
		Settings: s, Load: l.load, InForce: l.inForce, LookupEnv: a.lookupEnv, Log: log, Stdout: a.stdout,
	})
	if err != nil {
		return nil, explain(err)
	}
	l.started = true
	return &server{Daemon: d, loader: l, log: log}, nil
}

// run serves until ctx ends, and reloads when a file changes or SIGHUP comes.
func (srv *server) run(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	rctx, stop := context.WithCancel(ctx)
	reload := func() {
		srv.Reload(rctx) //nolint:errcheck // it has been logged; the configuration before stays in force
	}
	paths, looked := srv.loader.watched, srv.loader.looked
	watcher := watch.Start(paths, watch.Options{Quiet: srv.quiet, Failed: func(err error) {
		srv.log.Warn("changes of files are looked for once a second only", "reason", err)
	}}, reload)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !looked.Same(watch.Look(paths)) {
			reload() // they changed after they were read and before they were watched
		}
		for {
			select {
			case <-rctx.Done():
				return
			case <-hangup:
				srv.ReopenLogs()
				reload()
			case paths := <-srv.loader.paths:
				watcher.Watch(paths)
				reload() // what changed before they were watched
			}
		}
	}()
	err := srv.Run(ctx)
	stop()
	<-done
	watcher.Close()
	return err
}

// watched are the files and folders that a snapshot is made of.
func (a *app) watched(s *config.Settings) (paths []string) {
	for _, p := range []string{a.settingsFile(), s.Mappings, s.Filters, s.Routers, s.Lookup.Path} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

// httpLog takes what net/http has no other place for than the log package: answers that nobody asked for, and
// connections of clients that speak no HTTP. It shows nothing of what was received, which net/http quotes.
type httpLog struct{ log *slog.Logger }

// Write logs one line.
func (h httpLog) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(strings.TrimSpace(string(line)), `"`)
	h.log.Warn("http: " + strings.TrimPrefix(strings.TrimSpace(text), "http: "))
	return len(line), nil
}

// logger writes to standard error as the settings say.
func (a *app) logger(s *config.Settings) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(s.Log.Level)) != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if s.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}
