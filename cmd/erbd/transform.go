package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/transform"
)

// transformFlags are the flags of erbd transform that are no settings.
type transformFlags struct {
	backend  string
	out      string
	lookup   string
	filter   bool
	outcomes bool
	lenient  bool
	envelope bool
	batch    int
	summary  string
	workers  int
	progress bool
}

func newTransformCmd(a *app) *cobra.Command {
	var f transformFlags
	cmd := &cobra.Command{
		Use:   "transform [FILE…|-]",
		Short: "Transform events or tracking logs to statements, without a daemon",
		Long: `transform reads events, one JSON object a line, from files (also .gz) or from
standard input, and writes the statements, one JSON object a line, in the order
of the input. Lines may be emitted events or lines of a tracking log, with or
without a syslog prefix. All mapped names pass unless --filter is given.

A summary by event name goes to standard error. The exit code is 0 where all
lines were read and none was invalid or rejected, 1 otherwise, 2 for a wrong
command line.

With --envelope, Caliper events are wrapped in envelopes as they are sent, one a
line, each with --batch events; the sensor is the setting caliper.sensor_id.

With --outcomes, each input line gives exactly one line instead:
  {"line":1,"name":"play_video","outcome":"transformed","statements":[…]}
The outcome is transformed, unmapped, filtered, rejected or invalid; rejected
and invalid lines have a reason, rejected ones also the field and the place in
the mapping. With several files, each line starts with its file.`,
		Example: `  erbd transform tracking.log > statements.jsonl
  erbd transform --lookup lms.json --lms.root_url https://lms.example.org -o out.jsonl tracking.log*.gz
  zcat tracking.log.gz | erbd transform --outcomes - | jq 'select(.outcome == "rejected")'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("batch") && !f.envelope {
				return cli.Misuse(errors.New("--batch is about envelopes"), "add --envelope, or leave --batch out")
			}
			return a.transform(cmd.Context(), &f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.backend, "backend", backendXAPI, "what to make: xapi or caliper")
	flags.StringVarP(&f.out, "out", "o", "", "write to `FILE` instead of standard output")
	flags.StringVar(&f.lookup, "lookup", "", "users and courses: a JSON, YAML or CSV `FILE`, or a folder with users.csv and courses.csv")
	flags.BoolVar(&f.filter, "filter", false, "apply the name filter of the settings")
	flags.BoolVar(&f.outcomes, "outcomes", false, "write the outcome of each input line instead of statements")
	flags.BoolVar(&f.envelope, "envelope", false, "write Caliper envelopes instead of bare events")
	flags.IntVar(&f.batch, "batch", 1, "the most events in one envelope")
	flags.BoolVar(&f.lenient, "lenient", false, "exit with 0 though lines were invalid or rejected")
	flags.StringVar(&f.summary, "summary", "text", "form of the summary on standard error: text, json or none")
	flags.IntVar(&f.workers, "workers", 0, "goroutines that transform; 0: one per core")
	flags.BoolVar(&f.progress, "progress", true, "show a progress bar where standard error is a terminal")
	a.addSettings(cmd, "mappings", "filters", "profile", "lms.root_url")
	return cmd
}

func (a *app) transform(ctx context.Context, f *transformFlags, args []string) error {
	if f.backend != backendXAPI && f.backend != backendCaliper {
		return cli.Misuse(fmt.Errorf("unknown backend %q", f.backend), "use --backend xapi or --backend caliper")
	}
	if f.summary != "text" && f.summary != "json" && f.summary != "none" {
		return cli.Misuse(fmt.Errorf("unknown summary %q", f.summary), "use --summary text, json or none")
	}
	if f.workers < 0 {
		return cli.Misuse(errors.New("--workers must not be negative"))
	}
	if err := f.checkEnvelope(); err != nil {
		return err
	}
	if f.lookup != "" {
		a.assignments = append(a.assignments,
			config.Assignment{Key: "lookup.type", Value: config.LookupFile, Source: "--lookup"},
			config.Assignment{Key: "lookup.path", Value: f.lookup, Source: "--lookup"})
	}
	inputs, size, err := a.inputs(ctx, args, f.out)
	if err != nil {
		return err
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	a.patience = lookupPatience
	directory, err := a.loadDirectory(settings)
	if err != nil {
		return err
	}
	if err := a.checkLookups(ctx); err != nil {
		return err
	}
	set, err := a.loadMappings(settings, f.backend, directory)
	if err != nil {
		return err
	}
	var progress transform.Progress
	opt := transform.Options{
		NewWorker: func() transform.Worker { return set.NewWorker() },
		Outcomes:  f.outcomes,
		Limits:    event.Limits{MaxBytes: int(settings.Limits.EventBytes), MaxDepth: settings.Limits.EventDepth},
		Workers:   f.workers,
		Progress:  &progress,
	}
	if f.filter {
		names, err := nameFilter(settings, f.backend)
		if err != nil {
			return err
		}
		opt.Filter = names
	}

	wrap, err := f.wrapper(settings)
	if err != nil {
		return err
	}
	var bar *bar
	if f.progress {
		bar = startBar(a.stderr, &progress, size)
	}
	summary, err := a.transformTo(ctx, f, wrap, inputs, opt)
	bar.stop()
	if summary == nil {
		return err
	}
	if reportErr := writeSummary(a.stderr, f.summary, summary); err == nil && reportErr != nil {
		err = fmt.Errorf("write summary: %w", reportErr)
	}
	if err != nil {
		return err
	}
	return verdict(summary, f)
}

func nameFilter(s *config.Settings, backend string) (transform.NameFilter, error) {
	if backend == backendCaliper {
		return s.Caliper.NameFilter()
	}
	return s.XAPI.NameFilter()
}

// transformTo runs the transformation and writes to a file, or to standard
// output where there is none.
func (a *app) transformTo(ctx context.Context, f *transformFlags, wrap wrapFunc, inputs []transform.Input, opt transform.Options) (*transform.Summary, error) {
	if f.out == "" {
		return runTo(ctx, a.stdout, f.batch, wrap, inputs, opt)
	}
	out, err := os.Create(f.out)
	if err != nil {
		return nil, fmt.Errorf("write output: %w", err)
	}
	summary, err := runTo(ctx, out, f.batch, wrap, inputs, opt)
	if closeErr := out.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("write output: %w", closeErr)
	}
	return summary, err
}

// inputs returns what is to be read, and its size in bytes, 0 if not known.
func (a *app) inputs(ctx context.Context, args []string, out string) ([]transform.Input, int64, error) {
	if len(args) == 0 {
		if isTerminal(a.stdin) {
			return nil, 0, cli.Misuse(errors.New("no input"), `name a file, or "-" to type events`)
		}
		args = []string{"-"}
	}
	output, _ := os.Stat(out) // nil where there is none yet
	inputs := make([]transform.Input, len(args))
	var size int64
	sized, stdin := true, false
	for i, name := range args {
		if name == "-" {
			if stdin {
				return nil, 0, cli.Misuse(errors.New(`standard input ("-") can be read only once`))
			}
			stdin, sized = true, false
			inputs[i] = transform.Input{Name: "-", Open: func() (io.ReadCloser, error) { return newWaiting(ctx, a.stdin), nil }}
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, 0, err
		}
		if info.IsDir() {
			return nil, 0, cli.Fail(fmt.Errorf("%s is a folder", name), "name the files in it: "+strings.TrimSuffix(name, "/")+"/*")
		}
		if output != nil && info.Mode().IsRegular() && os.SameFile(info, output) {
			return nil, 0, cli.Misuse(fmt.Errorf("%s is both input and output", name))
		}
		size += info.Size()
		sized = sized && info.Mode().IsRegular()
		inputs[i] = transform.Input{Name: name, Open: func() (io.ReadCloser, error) { return os.Open(name) }}
	}
	if !sized {
		size = 0
	}
	return inputs, size, nil
}

func writeSummary(w io.Writer, form string, s *transform.Summary) error {
	switch form {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(s)
	case "text":
		return s.WriteText(w)
	}
	return nil
}

// verdict turns a summary into the error that decides about the exit code.
func verdict(s *transform.Summary, f *transformFlags) error {
	switch {
	case len(s.Errors) == 1:
		return s.Errors[0]
	case len(s.Errors) > 1:
		return fmt.Errorf("%d inputs could not be read, the first one: %w", len(s.Errors), s.Errors[0])
	case s.Interrupted:
		return cli.Fail(fmt.Errorf("interrupted after %d lines", s.Lines), "what was written is complete up to there")
	case s.Clean() || f.lenient:
		return nil
	}
	hints := []string{"--lenient makes that exit code 0"}
	if !f.outcomes {
		hints = append(hints, "--outcomes shows each line with its reason")
	}
	return cli.Fail(fmt.Errorf("of %d lines, %d were rejected and %d invalid", s.Lines, s.Rejected, s.Invalid), hints...)
}
