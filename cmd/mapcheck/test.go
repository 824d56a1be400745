package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/golden"
)

type testFlags struct {
	run, output            string
	update, verbose, watch bool
}

func newTestCmd(a *app) *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test [PATTERN…]",
		Short: "Run golden cases",
		Long: `test transforms the event of each case and compares the statements, whole, with
those that the case expects. Of each value that differs it shows the line of
the mapping that made it.

A case is golden/BACKEND/EVENT/CASE.yaml. PATTERN is the name of a case or of a
part of it, with * and ?, or the path of a file.`,
		Example: `  mapcheck test
  mapcheck test xapi/play_video
  mapcheck test 'edx.forum.*' --verbose
  mapcheck test --run 'several|mbox'
  mapcheck test play_video --update     write what the events become now
  mapcheck test --output junit >report.xml
  mapcheck test --watch                 run again whenever a file changes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", f.output, "text", "json", "junit"); err != nil {
				return err
			}
			if f.watch && (f.update || f.output != "text") {
				return cli.Misuse(errors.New("--watch goes with neither --update nor --output"))
			}
			sel := golden.Selection{Patterns: args}
			if f.run != "" {
				re, err := regexp.Compile(f.run)
				if err != nil {
					return cli.Misuse(fmt.Errorf("--run: %w", err))
				}
				sel.Run = re
			}
			if f.watch {
				return a.watch(cmd.Context(), sel, f)
			}
			return a.test(cmd.Context(), sel, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "run only cases whose name matches this regular `expression`")
	flags.StringVarP(&f.output, "output", "o", "text", "form of the report: text, json or junit")
	flags.BoolVar(&f.update, "update", false, "write what the events of failed cases become into the cases; refused under CI=true")
	flags.BoolVar(&f.watch, "watch", false, "run again whenever a mapping or a case changes, until interrupted")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show the cases that passed too")
	return cmd
}

// cases reads the cases; a fault in one of them is an error.
func (a *app) cases(sel golden.Selection) ([]*golden.Case, error) {
	cases, faults, err := golden.Discover(a.golden, sel)
	if faults.HasErrors() {
		return nil, cli.Faulty("the cases", faults)
	}
	if errors.Is(err, golden.ErrNoCases) {
		return nil, cli.Fail(err, `cases are files such as golden/xapi/play_video/CASE.yaml; "mapcheck new EVENT.json" drafts one`)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Fail(err, "--golden FOLDER names the folder of the cases")
	}
	return cases, err
}

func (a *app) test(ctx context.Context, sel golden.Selection, f testFlags) error {
	if f.update {
		if v, _ := a.lookupEnv("CI"); v != "" && v != "false" && v != "0" {
			return cli.Fail(golden.ErrCI, "update them on your own machine, look at what changed, and commit it")
		}
	}
	sets, err := a.sets()
	if err != nil {
		return err
	}
	return a.runCases(ctx, sets, sel, f)
}

// runCases runs cases and reports on them.
func (a *app) runCases(ctx context.Context, sets *golden.Sets, sel golden.Selection, f testFlags) error {
	cases, err := a.cases(sel)
	if err != nil {
		return err
	}
	s := golden.Run(ctx, sets, cases)
	if f.update {
		if err := golden.Update(s, a.lookupEnv); err != nil {
			return err
		}
	}
	switch f.output {
	case "json":
		err = s.WriteJSON(a.stdout)
	case "junit":
		err = s.WriteJUnit(a.stdout)
	default:
		err = s.WriteText(a.stdout, f.verbose)
	}
	if list := diag.FromError(err); list != nil {
		return cli.Faulty("the cases", list)
	}
	if err == nil && !s.OK() {
		return errFound
	}
	return err
}
