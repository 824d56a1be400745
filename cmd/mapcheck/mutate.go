package main

import (
	"encoding/json"
	"fmt"
	"path"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/golden"
)

func newMutateCmd(a *app) *cobra.Command {
	var backend, output string
	cmd := &cobra.Command{
		Use:   "mutate [FILE…]",
		Short: "Change the mappings bit by bit and see whether the cases notice",
		Long: `mutate changes each literal and each part of each expression of the mappings, one
at a time and in memory, and runs the cases. It lists the changes that no case
notices: something that the cases do not prove. FILE is the name of a mapping
file, such as video.yaml; without one all files are changed. It takes a while.`,
		Example: "  mapcheck mutate\n  mapcheck mutate --backend xapi video.yaml",
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
			cases, err := a.cases(golden.Selection{})
			if err != nil {
				return err
			}
			if s := golden.Run(cmd.Context(), sets, cases); !s.OK() {
				return cli.Fail(fmt.Errorf("%d of %d cases do not pass", s.Counts[golden.Failed]+s.Counts[golden.Errored], len(cases)), `make "mapcheck test" pass first`)
			}
			choose := func(file string) bool {
				for _, arg := range args {
					if file == arg || path.Base(file) == path.Base(arg) {
						return true
					}
				}
				return len(args) == 0
			}
			all := map[string]*golden.Mutation{}
			found := false
			for _, b := range list {
				if !has(cases, b) {
					continue
				}
				m, err := golden.Mutate(cmd.Context(), sets, b, cases, choose)
				if err != nil {
					return err
				}
				all[b] = m
				found = found || len(m.Survivors) > 0
				if output == "text" {
					for _, s := range m.Survivors {
						fmt.Fprintf(a.stdout, "%s: not noticed: %s: %q instead of %q\n", s.Pos, s.What, s.New, s.Old)
					}
					fmt.Fprintf(a.stdout, "%s: %s, %d not noticed\n", b, cli.Plural(m.Mutants, "change"), len(m.Survivors))
				}
			}
			if output == "json" {
				enc := json.NewEncoder(a.stdout)
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				if err := enc.Encode(all); err != nil {
					return err
				}
			}
			if found {
				return errFound
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&backend, "backend", "", "only this backend: xapi or caliper")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "form of the report: text or json")
	return cmd
}
