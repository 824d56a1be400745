package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/mappings"
)

// backends are the formats that mappings may be for.
var backends = []string{"xapi", "caliper"}

// app is what the commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	lookupEnv      func(string) (string, bool)

	mappings string // folder of the mapping files
	golden   string // folder of the cases
	running  bool   // the command line was understood
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "mapcheck",
		Short: "Prove the mappings of erbd before they run",
		Long: `mapcheck proves mappings: YAML files that say which xAPI statement or Caliper
event an event of Open edX becomes. It runs the same engine as erbd.

It works on the folders ./mappings (one folder for each backend; "erbd mappings
export ./mappings" makes one) and ./golden (the cases); --mappings and --golden
name others. Without a folder of mappings it uses those embedded in the program.`,
		Example: `  mapcheck test                           run all cases
  mapcheck survey tracking.log            which events of a log are mapped
  mapcheck new event.json                 draft a mapping and a case
  mapcheck explain event.json             show how a statement comes about
  mapcheck lint                           look for faults and oddities
  mapcheck coverage                       what the cases do not reach`,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.running = true
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	flags := root.PersistentFlags()
	flags.StringVar(&a.mappings, "mappings", "", "`folder` of the mapping files, with a folder for each backend (default ./mappings, else those embedded)")
	flags.StringVar(&a.golden, "golden", "golden", "`folder` of the golden cases")
	root.AddCommand(newTestCmd(a), newCoverageCmd(a), newMutateCmd(a), newFunctionsCmd(a), newSurveyCmd(a), newExplainCmd(a), newNewCmd(a), newLintCmd(a), newSchemaCmd(a))
	return root
}

// sets are the mappings that the command line names.
func (a *app) sets() (*golden.Sets, error) {
	dir := a.mappings
	if dir == "" {
		if info, err := os.Stat("mappings"); err == nil && info.IsDir() {
			dir = "mappings"
		}
	}
	if dir == "" {
		return &golden.Sets{Version: mappings.Version, Files: func(backend string) (fs.FS, error) { return fs.Sub(mappings.FS, backend) }}, nil
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, cli.Fail(fmt.Errorf("mappings: %w", err), `"erbd mappings export DIR" writes the embedded ones`)
	}
	return &golden.Sets{Version: mappings.Version, Folder: filepath.ToSlash(dir), Files: func(backend string) (fs.FS, error) {
		sub := filepath.Join(dir, backend)
		if _, err := os.Stat(sub); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there are no mappings for %s: %s does not exist", backend, sub)
		}
		return os.DirFS(sub), nil
	}}, nil
}

// mapped lists the backends that have mappings, or the one asked for.
func (a *app) mapped(sets *golden.Sets, backend string) ([]string, error) {
	if backend != "" {
		if !slices.Contains(backends, backend) {
			return nil, cli.Misuse(fmt.Errorf("unknown backend %q", backend), "use --backend xapi or --backend caliper")
		}
		return []string{backend}, nil
	}
	var list []string
	for _, b := range backends {
		files, err := sets.Files(b)
		if err != nil {
			continue
		}
		if names, err := fs.Glob(files, "*.yaml"); err == nil && len(names) > 0 {
			list = append(list, b)
		}
	}
	if len(list) == 0 {
		return nil, cli.Fail(fmt.Errorf("the folder of mappings has neither %s nor %s", backends[0], backends[1]), `"erbd mappings export DIR" writes the embedded ones`)
	}
	return list, nil
}

// oneOf checks the value of a flag.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	hint := "use "
	for i, v := range allowed {
		switch {
		case i > 0 && i == len(allowed)-1:
			hint += " or "
		case i > 0:
			hint += ", "
		}
		hint += "--" + flag + " " + v
	}
	return cli.Misuse(fmt.Errorf("unknown %s %q", flag, value), hint)
}
