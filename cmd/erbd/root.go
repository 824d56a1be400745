package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/lookup/source"
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

	sources  source.Keeper // of users and courses on a server
	patience time.Duration // how long a command tries a look-up that fails; 0: the caller comes back
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
		newServeCmd(a),
		newStatusCmd(a),
		newCheckCmd(a),
		newPublishCmd(a),
		newFailedCmd(a),
		newSinkCmd(a),
		newBenchCmd(a),
		newImportRoutersCmd(a),
		newLookupCmd(a),
		newMappingsCmd(a),
		newSettingsCmd(a),
		newVersionCmd(a),
	)
	return root
}
