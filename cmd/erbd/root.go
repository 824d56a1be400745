package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/config"
)

// app is what the commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string
	lookupEnv      func(string) (string, bool)

	configFile  string
	assignments []config.Assignment // of flags, in their order
	running     bool                // the command line was understood
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "erbd",
		Short: "Turn the tracking events of Open edX into xAPI statements and Caliper events",
		Long: `erbd turns the tracking events of Open edX into xAPI statements and Caliper
events, by mappings in YAML.

Settings come from --config FILE, from environment variables and from flags.
Every setting KEY can be given as --set KEY=VALUE, as the flag --KEY VALUE and
as a variable ERB_…; "erbd settings" lists them.`,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { a.running = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.AddCommand(
		newTransformCmd(a),
		newMappingsCmd(a),
		newSettingsCmd(a),
		newVersionCmd(a),
	)
	return root
}
