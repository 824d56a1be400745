package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/follow"
	"github.com/erbd/erbd/engine/publish"
	"github.com/erbd/erbd/engine/stream"
	"github.com/erbd/erbd/engine/transform"
)

type publishFlags struct {
	rate     rateFlag
	again    bool
	lenient  bool
	output   string
	progress bool
	follow   bool
	state    string
}

func newPublishCmd(a *app) *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish [FILE…|-]",
		Short: "Publish events or tracking logs to the daemon",
		Long: `publish reads events, one JSON object (or list of objects) a line, from files
(also .gz) or from standard input, and sends them to the intake of the daemon:
to the servers of nats.url, or to the embedded server that listens on
nats.listen. An event counts as published when the server has stored it. When
the intake is full, publish waits for the daemon.

Lines that are no events are reported and not sent; the exit code is 1 then,
unless --lenient is given.

Publishing a file again within ten minutes, say after an interruption, stores
nothing twice; equal events in one run are all kept. --again sends all anew.

With --follow, publish sends what one log holds and then, within a second, what
is appended to it, until it is told to stop (SIGTERM), which is exit code 0. It
goes on with the new file when the log is rotated, after it has finished the old
one. Where it is, it keeps in a state file, so that it goes on there when it is
started again, whatever happened. While the daemon is down it waits, however
long. Rotation should rename the log: what is truncated before it was read and
copied cannot be read any more.`,
		Example: `  erbd publish tracking.log
  erbd publish --follow --state /var/lib/erbd/tracking.state tracking.log
  erbd publish --rate 500/s --config erbd.yaml tracking.log-*.gz
  tail -F tracking.log | erbd publish -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.follow {
				return a.follow(cmd.Context(), &f, args)
			}
			if f.state != "" {
				return cli.Misuse(errors.New("--state is for --follow"))
			}
			return a.publish(cmd.Context(), &f, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.follow, "follow", false, "go on with what is appended to the log")
	flags.StringVar(&f.state, "state", "", "`FILE` that says how far --follow is (default: the log's name with "+follow.StateSuffix+")")
	flags.Var(&f.rate, "rate", "at most `N` events a second: 500, 500/s or 30000/m")
	flags.BoolVar(&f.again, "again", false, "store the events though they were published before")
	flags.BoolVar(&f.lenient, "lenient", false, "exit with 0 though lines were refused")
	flags.StringVar(&f.output, "output", "text", "form of the summary: text or json")
	flags.BoolVar(&f.progress, "progress", true, "show a progress bar where standard error is a terminal")
	a.addSettings(cmd, "nats.url", "nats.listen")
	return cmd
}

func (a *app) publish(ctx context.Context, f *publishFlags, args []string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	inputs, size, err := a.inputs(ctx, args, "")
	if err != nil {
		return err
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	b, err := a.connect(ctx, s, "erbd publish")
	if err != nil {
		return err
	}
	defer b.close()
	raw, err := b.needIntake(ctx)
	if err != nil {
		return err
	}
	before := raw.CachedInfo().State.LastSeq

	var progress transform.Progress
	opt := publish.Options{
		Limits: event.Limits{MaxBytes: int(s.Limits.EventBytes), MaxDepth: s.Limits.EventDepth},
		Rate:   f.rate.perSecond, Again: f.again, MaxPayload: b.nc.MaxPayload(), Progress: &progress,
		Waiting: func(why string) {
			if why == "" {
				why = "goes on"
			}
			fmt.Fprintf(a.stderr, "erbd: %s\n", why)
		},
	}
	var bar *bar
	if f.progress {
		bar = startBar(a.stderr, &progress, size)
	}
	start := time.Now()
	sum, err := publish.Run(ctx, stream.NewPublisher(b.nc, b.js, b.features, b.durable), inputs, opt)
	took := time.Since(start)
	bar.stop()
	// The stream tells how much was not new: exactly when nobody else publishes, else at least that.
	known := int64(-1)
	if info, infoErr := raw.Info(context.WithoutCancel(ctx)); infoErr == nil {
		known = max(0, sum.Messages-int64(info.State.LastSeq-before))
	}
	if reportErr := writePublished(a.stdout, a.stderr, f, sum, known, took); err == nil && reportErr != nil {
		err = fmt.Errorf("write summary: %w", reportErr)
	}
	return publishVerdict(sum, err, f)
}

// writePublished writes the summary to out and the lines that were refused to errs.
func writePublished(out, errs io.Writer, f *publishFlags, sum *publish.Summary, known int64, took time.Duration) error {
	if f.output == "json" {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(struct {
			*publish.Summary
			Seconds float64 `json:"seconds"`
		}{sum, took.Seconds()})
	}
	for _, line := range sum.RefusedLines {
		fmt.Fprintf(errs, "refused: %s:%d: %s\n", line.Input, line.Line, line.Reason)
	}
	if more := sum.Refused - int64(len(sum.RefusedLines)); more > 0 {
		fmt.Fprintf(errs, "refused: %d more\n", more)
	}
	text := fmt.Sprintf("published %d events in %s", sum.Published, took.Round(time.Millisecond))
	if sum.Published > 0 {
		text += fmt.Sprintf(" (%.0f/s)", float64(sum.Published)/max(took.Seconds(), 0.001))
	}
	if sum.Refused > 0 {
		text += fmt.Sprintf("; refused: %d", sum.Refused)
	}
	if _, err := fmt.Fprintln(out, text); err != nil {
		return err
	}
	switch {
	case sum.Messages > 0 && known == sum.Messages:
		fmt.Fprintln(errs, "erbd: all of them had been published in the last ten minutes, so nothing new was stored (--again sends them anew)")
	case known > 0:
		fmt.Fprintf(errs, "erbd: %d of %d messages had been published in the last ten minutes and were not stored twice (--again sends them anew)\n", known, sum.Messages)
	}
	return nil
}

func publishVerdict(sum *publish.Summary, err error, f *publishFlags) error {
	again := "run the command again to publish the rest: what is stored is not stored twice within ten minutes"
	switch {
	case err != nil && sum.Next != nil:
		return cli.Fail(fmt.Errorf("published up to %s: %w", sum.Next, err), again)
	case err != nil:
		return err
	case len(sum.Errors) == 1:
		return sum.Errors[0]
	case len(sum.Errors) > 1:
		return fmt.Errorf("%d inputs could not be read, the first one: %w", len(sum.Errors), sum.Errors[0])
	case sum.Interrupted && sum.Next != nil:
		return cli.Fail(fmt.Errorf("interrupted: everything before %s is published", sum.Next), again)
	case sum.Interrupted:
		return errors.New("interrupted before anything was read")
	case sum.Refused > 0 && !f.lenient:
		return cli.Fail(fmt.Errorf("%d events of %d lines were refused", sum.Refused, sum.Lines), "--lenient makes that exit code 0")
	}
	return nil
}

// rateFlag is a number of events in a time: 500, 500/s, 30000/m, 1000000/h.
type rateFlag struct {
	text      string
	perSecond float64
}

func (r *rateFlag) String() string { return r.text }
func (r *rateFlag) Type() string   { return "rate" }
func (r *rateFlag) Set(s string) error {
	number, unit, _ := strings.Cut(s, "/")
	seconds := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || seconds == 0 || !(n > 0) || math.IsInf(n, 0) {
		return errors.New("expected a rate such as 500/s, 30000/m or 100000/h")
	}
	r.text, r.perSecond = s, n/seconds
	return nil
}

// checkOutput refuses what is neither text nor json.
func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return cli.Misuse(fmt.Errorf("unknown output %q", output), "use --output text or --output json")
	}
	return nil
}
