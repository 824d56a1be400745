// Command judge prints what the events of all golden cases of a backend become under a profile, one statement a line,
// each case with its own settings: go run ./.ci/judge GOLDEN BACKEND PROFILE. It belongs to judge.sh.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: go run ./.ci/judge GOLDEN BACKEND PROFILE")
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	if err := run(out, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, dir, backend, profile string) error {
	cases, faults, err := golden.Discover(dir, golden.Selection{})
	if err != nil {
		return err
	}
	if err := faults.Err(); err != nil {
		return err
	}
	sets := &golden.Sets{Version: mappings.Version, Files: func(backend string) (fs.FS, error) { return fs.Sub(mappings.FS, backend) }}
	workers := map[*mapping.Set]*mapping.Worker{}
	var p event.Parser
	for _, c := range cases {
		// The events of one backend's cases are good for the other one too.
		settings := *c.Settings
		settings.Profile = profile
		if c.Backend != backend {
			settings.Filters = ""
		}
		set, faults, err := sets.Get(backend, &settings, false)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		if err := faults.Err(); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		if workers[set] == nil {
			workers[set] = set.NewWorker()
		}
		ev, err := p.Parse(c.Line)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		for _, s := range workers[set].Transform(context.Background(), ev).Statements {
			if _, err := fmt.Fprintf(out, "%s\n", s.JSON); err != nil {
				return err
			}
		}
	}
	return nil
}
