package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/mappings"
)

// version is set by the linker in releases.
var version = ""

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func newVersionCmd(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program and of the embedded mappings",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch output {
			case "json":
				return json.NewEncoder(a.stdout).Encode(map[string]string{"erbd": buildVersion(), "mappings": mappings.Version, "go": runtime.Version()})
			case "text":
				_, err := fmt.Fprintf(a.stdout, "erbd %s\nmappings %s\n%s\n", buildVersion(), mappings.Version, runtime.Version())
				return err
			}
			return cli.Misuse(fmt.Errorf("unknown output %q", output), "use --output text or --output json")
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "form: text or json")
	return cmd
}
