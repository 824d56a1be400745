package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/transform"
)

func newSurveyCmd(a *app) *cobra.Command {
	var backend, output, lookup, configFile string
	cmd := &cobra.Command{
		Use:   "survey LOG…",
		Short: "Show which events of a tracking log are mapped",
		Long: `survey reads tracking logs, plain or gzip, and lists the names of their events by
volume: mapped, unmapped, and rejected with the reasons. "-" is standard input.
Without --lookup, users and courses are taken as they come.`,
		Example: "  mapcheck survey tracking.log\n  mapcheck survey --backend caliper --lookup lms.json tracking.log.gz\n  mapcheck survey tracking.log --output json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			s, err := a.settings(configFile, lookup)
			if err != nil {
				return err
			}
			sets, err := a.sets()
			if err != nil {
				return err
			}
			list, err := a.mapped(sets, backend)
			if err != nil {
				return err
			}
			if slices.Contains(args, "-") && len(list) > 1 {
				return cli.Misuse(errors.New("standard input can be read only once, for one backend"), "add --backend xapi or --backend caliper")
			}
			all := map[string]*transform.Summary{}
			for _, b := range list {
				sum, err := a.survey(cmd.Context(), sets, b, s, args)
				if err != nil {
					return err
				}
				all[b] = sum
				if output == "text" {
					if err := writeSurvey(a.stdout, b, sum); err != nil {
						return err
					}
				}
			}
			if output == "json" {
				return a.json(all)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&backend, "backend", "", "only this backend: xapi or caliper")
	flags.StringVarP(&output, "output", "o", "text", "form of the report: text or json")
	flags.StringVar(&lookup, "lookup", "", "`file` of users and courses")
	flags.StringVarP(&configFile, "config", "c", "", "`file` of settings, such as erbd.yaml")
	return cmd
}

func (a *app) survey(ctx context.Context, sets *golden.Sets, backend string, s *config.Settings, logs []string) (*transform.Summary, error) {
	set, err := compiled(sets, backend, s, false)
	if err != nil {
		return nil, err
	}
	var inputs []transform.Input
	for _, name := range logs {
		inputs = append(inputs, transform.Input{Name: name, Open: func() (io.ReadCloser, error) {
			if name == "-" {
				return io.NopCloser(a.stdin), nil
			}
			return os.Open(name)
		}})
	}
	sum, err := transform.Run(ctx, inputs, io.Discard, transform.Options{NewWorker: func() transform.Worker { return set.NewWorker() }})
	if err != nil {
		return nil, err
	}
	if len(sum.Errors) > 0 {
		return nil, sum.Errors[0]
	}
	for i := range sum.Rejections {
		r := &sum.Rejections[i]
		r.Mapping = sets.Place(diag.Position{File: r.Mapping}).File
	}
	return sum, ctx.Err()
}

// compiled is a set; faults of the mappings are shown where they stand.
func compiled(sets *golden.Sets, backend string, s *config.Settings, trace bool) (*mapping.Set, error) {
	set, faults, err := sets.Get(backend, s, trace)
	if err != nil {
		return nil, err
	}
	if faults.HasErrors() {
		return nil, cli.Faulty("the mappings", faults)
	}
	return set, nil
}

func writeSurvey(w io.Writer, backend string, s *transform.Summary) error {
	fmt.Fprintf(w, "%s: %s, %d transformed, %d unmapped, %d rejected, %d no events\n", backend, cli.Plural(int(s.Lines), "line"), s.Transformed, s.Unmapped, s.Rejected, s.Invalid)
	events := slices.Clone(s.Events)
	volume := func(e transform.EventCounts) int64 { return e.Transformed + e.Unmapped + e.Rejected + e.Filtered }
	slices.SortStableFunc(events, func(x, y transform.EventCounts) int {
		return cmp.Or(cmp.Compare(volume(y), volume(x)), strings.Compare(x.Name, y.Name))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  events\tshare\tname\t\n")
	for _, e := range events {
		n := volume(e)
		var notes []string
		switch {
		case e.Unmapped == n:
			notes = append(notes, "unmapped")
		case e.Rejected == n:
			notes = append(notes, "rejected")
		case e.Rejected > 0:
			notes = append(notes, fmt.Sprintf("mapped, %d rejected", e.Rejected))
		default:
			notes = append(notes, "mapped")
		}
		fmt.Fprintf(table, "  %d\t%.1f %%\t%s\t%s\n", n, 100*float64(n)/float64(max(s.Lines, 1)), e.Name, strings.Join(notes, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	if len(s.Rejections) > 0 {
		b.WriteString("rejected:\n")
		for _, r := range s.Rejections {
			fmt.Fprintf(&b, "  %d  %s  %s: %s (%s)\n", r.Count, r.Name, r.Field, r.Reason, r.Mapping)
		}
	}
	for i, l := range s.InvalidLines {
		if i == 10 {
			fmt.Fprintf(&b, "  and %d more lines that are no events\n", s.Invalid-10)
			break
		}
		fmt.Fprintf(&b, "  %s:%d: no event: %s\n", l.Input, l.Line, l.Reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
