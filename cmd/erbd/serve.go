package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

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
logs; a fault in any file keeps what is in force.`,
		Example: `  erbd serve --config erbd.yaml
  erbd serve --routers routers.yaml --lookup.path lms.json --lms.root_url https://lms.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
	a.addSettings(cmd, "nats.url", "nats.listen", "nats.store", "http.listen", "lookup.path", "mappings", "filters", "routers", "profile", "lms.root_url")
	return cmd
}

func (a *app) serve(ctx context.Context) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	log := a.logger(s)
	started := false
	load := func(ctx context.Context) (*daemon.Snapshot, error) {
		snap, err := a.loadSnapshot(ctx)
		if err != nil && started {
			err = spelled(err)
		}
		return snap, err
	}
	d, err := daemon.New(ctx, daemon.Options{
		Settings: s, Load: load, LookupEnv: a.lookupEnv, Log: log, Stdout: a.stdout,
	})
	if err != nil {
		return explain(err)
	}
	started = true
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	done := make(chan struct{})
	rctx, stop := context.WithCancel(ctx)
	watcher := watch.Start(a.watched(s), watch.Options{Failed: func(err error) {
		log.Warn("changes of files are looked for once a second only", "reason", err)
	}}, func() {
		d.Reload(rctx) //nolint:errcheck // it has been logged; the configuration before stays in force
	})
	go func() {
		defer close(done)
		for {
			select {
			case <-rctx.Done():
				return
			case <-hangup:
				d.ReopenLogs()
				d.Reload(rctx) //nolint:errcheck // it has been logged; the configuration before stays in force
			}
		}
	}()
	err = d.Run(ctx)
	stop()
	<-done
	watcher.Close()
	return err
}

// watched are the files and folders that a snapshot is made of.
func (a *app) watched(s *config.Settings) (paths []string) {
	for _, p := range []string{a.configFile, s.Mappings, s.Filters, s.Routers, s.Lookup.Path} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
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
