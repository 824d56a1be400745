package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/route"
)

func newCheckCmd(a *app) *cobra.Command {
	var output string
	var ping bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check everything that the daemon would load",
		Long: `check reads the settings, follows the references to secrets, and compiles the
look-ups, the mappings and filters of the backends that are switched on, and the
routers, as "erbd serve" does, and reports the faults of all of them. Nothing is
started or sent.

--ping also asks the message server, look-ups on a server, and the routers'
endpoints: GET …/about of xAPI, OPTIONS of Caliper. No statement is sent.

The exit code is 0 where all is well, 1 where something is wrong, 2 for a wrong
command line.`,
		Example: "  erbd check --config erbd.yaml --ping",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return a.check(cmd.Context(), ping, output)
		},
	}
	cmd.Flags().BoolVar(&ping, "ping", false, "also ask the message server and the endpoints of the routers")
	cmd.Flags().StringVar(&output, "output", "text", "form of the report: text or json")
	a.addSettings(cmd, "routers", "mappings", "filters", "profile", "lookup.path", "nats.url")
	return cmd
}

// checked is one thing that was checked.
type checked struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail says what was checked, or what is odd about it.
	Detail string       `json:"detail,omitempty"`
	Error  string       `json:"error,omitempty"`
	Faults []checkFault `json:"faults,omitempty"`

	err error
}

// checkFault is a diagnostic for programs.
type checkFault struct {
	diag.Position
	Severity diag.Severity `json:"severity"`
	Code     string        `json:"code,omitempty"`
	Path     string        `json:"path,omitempty"`
	Message  string        `json:"message"`
	Hint     string        `json:"hint,omitempty"`
}

// checks gathers what was checked.
type checks struct {
	list []*checked
}

func (c *checks) add(name string, err error, format string, args ...any) {
	x := &checked{Name: name, OK: err == nil, Detail: fmt.Sprintf(format, args...), err: err}
	if err != nil {
		x.Error = err.Error()
		for _, d := range faultsOf(err) {
			message := d.Message
			if message == "" && d.Err != nil {
				message = d.Err.Error()
			}
			x.Faults = append(x.Faults, checkFault{d.Pos, d.Severity, d.Code, d.Path, message, d.Hint})
		}
	}
	c.list = append(c.list, x)
}

func faultsOf(err error) diag.List {
	var f *cli.Failure
	if errors.As(err, &f) && len(f.Faults) > 0 {
		return f.Faults
	}
	return diag.FromError(err)
}

func (a *app) check(ctx context.Context, ping bool, output string) error {
	c := &checks{}
	s, err := a.settings()
	var f *cli.Failure
	if errors.As(err, &f) && f.Usage {
		return err
	}
	file := a.configFile
	if file == "" {
		if file, _ = a.lookupEnv("ERB_CONFIG"); file == "" {
			file = "no file"
		}
	}
	c.add("settings", err, "%s", file)
	if err == nil {
		a.checkParts(ctx, c, s, ping)
	}
	failures := 0
	for _, x := range c.list {
		if !x.OK {
			failures++
		}
	}
	if output == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(struct {
			OK     bool       `json:"ok"`
			Checks []*checked `json:"checks"`
		}{failures == 0, c.list})
	} else {
		err = a.writeChecks(c.list)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if failures > 0 {
		return fmt.Errorf("%d of %d checks failed", failures, len(c.list))
	}
	return nil
}

// checkParts checks all that the settings name.
func (a *app) checkParts(ctx context.Context, c *checks, s *config.Settings, ping bool) {
	if faults := s.ResolveSecrets(a.lookupEnv); faults.HasErrors() {
		c.add("secrets", cli.Faulty("the secrets", faults), "")
	} else {
		c.add("secrets", nil, "of the settings")
	}
	directory := a.checkLookup(ctx, c, s, ping)
	enabled := []string{}
	if s.XAPI.Enabled {
		enabled = append(enabled, backendXAPI)
	}
	if s.Caliper.Enabled {
		enabled = append(enabled, backendCaliper)
	}
	for _, backend := range enabled {
		a.checkMappings(c, s, backend, directory)
	}
	if len(enabled) == 0 {
		c.add("backends", cli.Fail(errors.New("no backend is switched on"), "set xapi.enabled or caliper.enabled"), "")
	}
	routers, err := a.loadRouters(s)
	detail := "no file, so nothing is delivered"
	if s.Routers != "" {
		detail = s.Routers
	}
	if err == nil && s.Routers != "" {
		detail += ": " + countRouters(routers, enabled)
	}
	c.add("routers", err, "%s", detail)
	if err == nil {
		exposed := a.exposed(s, routers)
		a.warn(exposed)
		if n := len(exposed); n > 0 {
			c.add("encryption", nil, "%s above: connections that leave this machine unencrypted", cli.Plural(n, "warning"))
		}
	}
	if ping {
		a.ping(ctx, c, s, routers)
	}
}

// checkLookup returns nil where there are faults. A source on a server is asked with ping only.
func (a *app) checkLookup(ctx context.Context, c *checks, s *config.Settings, ping bool) *lookup.Directory {
	directory, err := a.loadDirectory(s)
	detail := "no users and courses, so pseudonyms and course ids are used"
	switch kind := s.LookupType(); {
	case kind == config.LookupFile:
		detail = s.Lookup.Path
	case kind != config.LookupNone && ping && err == nil:
		ctx, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		err, detail = a.checkLookups(ctx), kind
	case kind != config.LookupNone:
		detail = kind + ", which only --ping asks"
	}
	c.add("lookup", err, "%s", detail)
	return directory
}

func (a *app) checkMappings(c *checks, s *config.Settings, backend string, directory *lookup.Directory) {
	from := "embedded"
	if s.Mappings != "" {
		from = s.Mappings
	}
	if directory == nil { // its fault was told; mappings are compiled all the same
		var err error
		if directory, err = lookup.NewDirectory(nil, lookup.Options{}); err != nil {
			c.add("mappings "+backend, err, "%s", from)
			return
		}
	}
	set, err := a.loadMappings(s, backend, directory)
	names, nameErr := nameFilter(s, backend)
	if err = errors.Join(err, nameErr); err != nil {
		c.add("mappings "+backend, err, "%s", from)
		return
	}
	passed := 0
	for _, name := range set.Names() {
		if names.Allows(name) {
			passed++
		}
	}
	c.add("mappings "+backend, nil, "%s: %s of %d mapped are let through", from, cli.Plural(passed, "event name"), len(set.Names()))
}

// countRouters tells how many routers there are and which serve no purpose.
func countRouters(set *route.Set, enabled []string) string {
	used := 0
	for _, backend := range enabled {
		used += len(set.Backend(backend))
	}
	text := cli.Plural(used, "router")
	if idle := len(set.All()) - used; idle > 0 {
		text += fmt.Sprintf("; %d more of backends that are switched off", idle)
	}
	return text
}

// writeChecks writes a line for each check to standard output, and the faults to standard error.
func (a *app) writeChecks(list []*checked) error {
	for _, x := range list {
		if x.OK {
			continue
		}
		if faults := faultsOf(x.err); len(faults) > 0 {
			fmt.Fprintln(a.stderr, faults.Render())
		}
	}
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, x := range list {
		state, detail := "ok", x.Detail
		if !x.OK {
			state, detail = "fault", x.Error
			var f *cli.Failure
			if errors.As(x.err, &f) && len(f.Hints) > 0 {
				detail += " (" + strings.Join(f.Hints, "; ") + ")"
			}
			detail, _, _ = strings.Cut(detail, "\n")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", state, x.Name, detail)
	}
	return t.Flush()
}
