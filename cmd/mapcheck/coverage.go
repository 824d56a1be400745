package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/golden"
)

func newCoverageCmd(a *app) *cobra.Command {
	var backend, output string
	var least, leastBranches float64
	cmd := &cobra.Command{
		Use:   "coverage [PATTERN…]",
		Short: "Show what the golden cases do not reach",
		Long: `coverage runs the cases line by line and counts, for each mapping file, which
fields had a value, which alternatives were taken, and which branches of
expressions (? :, && and ||). It lists the places that no case reaches.`,
		Example: `  mapcheck coverage
  mapcheck coverage --backend xapi --min 100 --min-branches 90
  mapcheck coverage --output json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
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
			cases, err := a.cases(golden.Selection{Patterns: args})
			if err != nil {
				return err
			}
			var all []*golden.Coverage
			for _, b := range list {
				if !has(cases, b) {
					continue
				}
				c, err := golden.Cover(cmd.Context(), sets, b, cases)
				if faults := diag.FromError(err); faults != nil {
					return cli.Faulty("the mappings", faults)
				}
				if err != nil {
					return err
				}
				all = append(all, c)
				if output == "text" {
					if err := c.WriteText(a.stdout); err != nil {
						return err
					}
				}
			}
			if output == "json" {
				if err := golden.WriteCoverageJSON(a.stdout, all); err != nil {
					return err
				}
			}
			return enough(all, least, leastBranches)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&backend, "backend", "", "only this backend: xapi or caliper")
	flags.StringVarP(&output, "output", "o", "text", "form of the report: text or json")
	flags.Float64Var(&least, "min", 0, "least `percent` of events, fields and alternatives that cases must reach")
	flags.Float64Var(&leastBranches, "min-branches", 0, "least `percent` of branches")
	return cmd
}

func has(cases []*golden.Case, backend string) bool {
	for _, c := range cases {
		if c.Backend == backend {
			return true
		}
	}
	return false
}

func enough(all []*golden.Coverage, least, leastBranches float64) error {
	for _, c := range all {
		for _, r := range []struct {
			what  string
			have  golden.Ratio
			least float64
		}{{"events", c.Events, least}, {"fields", c.Total.Fields, least}, {"alternatives", c.Total.Alternatives, least}, {"branches", c.Total.Branches, leastBranches}} {
			if r.have.Percent() < r.least {
				return cli.Fail(fmt.Errorf("%s: the cases reach %s of the %s, %v %% are asked for", c.Backend, r.have, r.what, r.least), `add cases for the places listed; "mapcheck new EVENT.json" drafts one`)
			}
		}
	}
	return nil
}
