package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/loadtest"
	"github.com/erbd/erbd/engine/workload"
)

type benchFlags struct {
	routers []int
	pack    []int
	sync    []string
	output  string
	print   bool
	opt     loadtest.Options
}

func newBenchCmd(a *app) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure on this machine how many events a daemon delivers, and what they cost",
		Long: `bench runs a daemon ("erbd serve") as a process of its own, on a store of its own
in a temporary folder that it removes, publishes events in the mix of a busy
site to it, receives the statements, and prints one table: events a second from
publishing to delivery, processor time and memory of the daemon, the time that
an event takes at a steady rate, and the time of a start.

Publisher and receiver are this process: what they cost is shown apart, but they
use the same processors. Settings, stores and daemons of this machine are not
touched. The runs are every --sync with every number of --routers, and for one
router with every --pack. A start with a filled store is measured with --backlog.

With --print it measures nothing and writes the events, a line each: a log for
"erbd transform" and "erbd publish".`,
		Example: `  erbd bench
  erbd bench --events 1000000 --routers 1 --sync always --backlog 1000000
  erbd bench --print --events 1000000 >tracking.log`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.bench(cmd.Context(), &f) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.opt.Events, "events", 100_000, "events of a run")
	flags.IntSliceVar(&f.routers, "routers", []int{1, 2, 4}, "`numbers` of routers; each gets every event")
	flags.IntSliceVar(&f.pack, "pack", []int{200, 1}, "`numbers` of events in a published message; all but the first for one router only")
	flags.StringSliceVar(&f.sync, "sync", []string{"always", "default"}, "when messages are on the disk: `always` before they are acknowledged, or when the message server does so by default")
	flags.IntVar(&f.opt.Batch, "batch", 100, "statements in a request")
	flags.DurationVar(&f.opt.Interval, "interval", time.Second, "longest `time` that a batch waits to fill")
	flags.IntVar(&f.opt.Rate, "rate", 1000, "events a second of the latency, each a message")
	flags.DurationVar(&f.opt.Steady, "steady", 5*time.Second, "`time` that the latency is measured; 0: not at all")
	flags.IntVar(&f.opt.Backlog, "backlog", 0, "events that wait when a daemon starts; 0: no such part")
	flags.StringVar(&f.opt.Dir, "dir", "", "`folder` of the temporary stores: its disk is measured (default: the system's)")
	flags.StringVar(&f.output, "output", "text", "form of the report: text or json")
	flags.BoolVar(&f.print, "print", false, "write the events of a run instead")
	return cmd
}

func (a *app) bench(ctx context.Context, f *benchFlags) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if f.print {
		return a.printEvents(ctx, f.opt.Events)
	}
	if err := f.setups(); err != nil {
		return err
	}
	var err error
	if f.opt.Program, err = os.Executable(); err != nil {
		return err
	}
	f.opt.Env = plainEnv(a.env)
	f.opt.Tell = func(what string) { fmt.Fprintf(a.stderr, "erbd: %s\n", what) }
	r, err := loadtest.Measure(ctx, f.opt)
	switch {
	case errors.Is(err, loadtest.ErrOptions):
		return cli.Misuse(err)
	case ctx.Err() != nil:
		return errors.New("interrupted; the temporary store is removed")
	case err != nil:
		return err
	}
	if f.output == "json" {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	return r.WriteText(a.stdout)
}

// setups lists the runs that the flags ask for.
func (f *benchFlags) setups() error {
	if len(f.pack) == 0 {
		return cli.Misuse(errors.New("--pack needs a number"))
	}
	for _, word := range f.sync {
		if word != "always" && word != "default" {
			return cli.Misuse(fmt.Errorf("--sync is always or default, not %q", word))
		}
		for _, n := range f.routers {
			f.opt.Runs = append(f.opt.Runs, loadtest.Setup{Always: word == "always", Routers: n, Pack: f.pack[0]})
		}
		for _, n := range f.pack[1:] {
			f.opt.Runs = append(f.opt.Runs, loadtest.Setup{Always: word == "always", Routers: 1, Pack: n})
		}
	}
	return nil
}

// plainEnv leaves out what could be a setting of the daemon.
func plainEnv(env []string) (plain []string) {
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(name, "GO"), name == "PATH", name == "HOME", name == "TMPDIR", strings.EqualFold(name, "SystemRoot"):
			plain = append(plain, v)
		}
	}
	return plain
}

func (a *app) printEvents(ctx context.Context, events int) error {
	mix, err := workload.Load()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(a.stdout, 1<<20)
	var line []byte
	for n := range events {
		line = append(mix.Append(line[:0], uint64(n)), '\n')
		if _, err := out.Write(line); err != nil || n%1000 == 0 && ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return out.Flush()
}
