package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/lint"
)

type lintFlags struct {
	backend, output, config, routers string
	fix, strict                      bool
}

func newLintCmd(a *app) *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Look for faults and oddities in mappings and routers",
		Long: `lint reports everything that keeps mappings from being loaded, and more: fields that
the specification of the backend does not know, actions that Caliper does not allow,
values that nothing uses, paths that no golden event has, match_params that can
hardly match. Each finding has a place, a severity and a stable code.

It fails if there are errors; with --strict for warnings too.`,
		Example: "  mapcheck lint\n  mapcheck lint --routers routers.yaml\n  mapcheck lint --fix\n  mapcheck lint --output sarif >lint.sarif",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("output", f.output, "text", "json", "sarif"); err != nil {
				return err
			}
			return a.lint(f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.backend, "backend", "", "only this backend: xapi or caliper")
	flags.StringVarP(&f.output, "output", "o", "text", "form of the report: text, json or sarif")
	flags.StringVarP(&f.config, "config", "c", "", "`file` of settings, such as erbd.yaml: its profile and filters are looked at too")
	flags.StringVar(&f.routers, "routers", "", "`file` of routers to look at too")
	flags.BoolVar(&f.fix, "fix", false, "remove what nothing uses, and mend misspelt keys")
	flags.BoolVar(&f.strict, "strict", false, "fail for warnings too")
	return cmd
}

func (a *app) lint(f lintFlags) error {
	faults, err := a.findings(f)
	if err != nil {
		return err
	}
	if f.fix {
		mended, err := lint.Fix(faults)
		if err != nil {
			return err
		}
		for _, d := range mended {
			fmt.Fprintf(a.stderr, "mended %s\n", d.Error())
		}
		if len(mended) > 0 {
			if faults, err = a.findings(f); err != nil {
				return err
			}
		}
	}
	switch f.output {
	case "json":
		err = lint.WriteJSON(a.stdout, faults)
	case "sarif":
		err = lint.WriteSARIF(a.stdout, faults)
	default:
		err = a.lintText(faults)
	}
	if err != nil {
		return err
	}
	for _, d := range faults {
		if d.Severity == diag.Error || d.Severity == diag.Warning && f.strict {
			return errFound
		}
	}
	return nil
}

func (a *app) findings(f lintFlags) (diag.List, error) {
	s, err := a.settings(f.config, "")
	if err != nil {
		return nil, err
	}
	if f.routers == "" {
		f.routers = s.Routers
	}
	sets, err := a.sets()
	if err != nil {
		return nil, err
	}
	list, err := a.mapped(sets, f.backend)
	if err != nil {
		return nil, err
	}
	cases, faults, err := golden.Discover(a.golden, golden.Selection{})
	if err != nil && !errors.Is(err, golden.ErrNoCases) {
		cases = nil // without cases, what depends on them is left out
	}
	for _, b := range list {
		found, err := lint.Mappings(sets, b, s, cases)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	if f.routers != "" {
		found, err := lint.Routers(f.routers, cases)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	faults.Sort()
	return faults, nil
}

func (a *app) lintText(faults diag.List) error {
	counts := map[diag.Severity]int{}
	for _, d := range faults {
		counts[d.Severity]++
		head, rest, more := strings.Cut(d.Render(), "\n")
		if more {
			rest = "\n" + rest
		}
		if _, err := fmt.Fprintf(a.stdout, "%s [%s]%s\n", head, d.Code, rest); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(a.stdout, "%s, %s, %s\n", cli.Plural(counts[diag.Error], "error"), cli.Plural(counts[diag.Warning], "warning"), cli.Plural(counts[diag.Info], "remark"))
	return err
}
