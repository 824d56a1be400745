package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/golden"
)

type draftFlags struct {
	backend, name string
	force         bool
}

func newNewCmd(a *app) *cobra.Command {
	var f draftFlags
	cmd := &cobra.Command{
		Use:   "new EVENT.json",
		Short: "Draft a mapping and a golden case for an event",
		Long: `new writes a golden case for an event, and, where nothing maps the event yet, a
draft of a mapping: a guess to be edited. It never overwrites files unless --force
is given. EVENT.json may also be a line of a tracking log; "-" is standard input.`,
		Example: "  mapcheck new event.json\n  mapcheck new event.json --backend caliper --name second-zero",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.draft(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.backend, "backend", "xapi", "backend to map to: xapi or caliper")
	flags.StringVar(&f.name, "name", "first", "name of the case")
	flags.BoolVar(&f.force, "force", false, "overwrite files")
	return cmd
}

var caseName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func (a *app) draft(ctx context.Context, file string, f draftFlags) error {
	if !caseName.MatchString(f.name) {
		return cli.Misuse(fmt.Errorf("%q is no name for a case", f.name), "use letters, digits and - _ .")
	}
	line, _, err := a.readEvent(file)
	if err != nil {
		return err
	}
	ev, err := parseEvent(line)
	if err != nil {
		return err
	}
	if strings.ContainsAny(ev.Name, `/\`) || strings.HasPrefix(ev.Name, ".") {
		return cli.Fail(fmt.Errorf("the name of the event cannot be a folder: %q", ev.Name), "events whose name is an address are not mapped")
	}
	sets, err := a.sets()
	if err != nil {
		return err
	}
	if _, err := a.mapped(sets, f.backend); err != nil {
		return err
	}
	set, err := compiled(sets, f.backend, config.Defaults(), false)
	if err != nil {
		return err
	}
	if !set.Has(ev.Name) {
		if sets.Folder == "" {
			return cli.Fail(errors.New("the embedded mappings cannot be added to"), `"erbd mappings export ./mappings" writes them to a folder`)
		}
		target := filepath.Join(sets.Folder, f.backend, stem(ev.Name)+".yaml")
		if err := a.write(target, golden.Draft(f.backend, ev), f.force); err != nil {
			return err
		}
	}
	target := filepath.Join(a.golden, f.backend, ev.Name, f.name+".yaml")
	if err := a.write(target, golden.DraftCase(line), f.force); err != nil {
		return err
	}
	return a.fillCase(ctx, f.backend, ev, target)
}

// fillCase writes what the event becomes into the new case.
func (a *app) fillCase(ctx context.Context, backend string, ev event.Event, target string) error {
	sets, err := a.sets() // with the draft
	if err != nil {
		return err
	}
	cases, err := a.cases(golden.Selection{Patterns: []string{target}})
	if err != nil {
		return err
	}
	s := golden.Run(ctx, sets, cases)
	if len(s.Faults) > 0 {
		return cli.Faulty("the mappings", s.Faults)
	}
	if err := golden.Update(s, func(string) (string, bool) { return "", false }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "next: edit the mapping, look at \"mapcheck explain %s\", then run \"mapcheck test %s/%s --update\"\n", target, backend, ev.Name)
	return err
}

func (a *app) write(target string, content []byte, force bool) error {
	if _, err := os.Stat(target); err == nil && !force {
		return cli.Fail(fmt.Errorf("%s exists already", target), "use --name NAME for another case, or --force to overwrite")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write draft: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("write draft: %w", err)
	}
	if err := os.WriteFile(target, bytes.TrimLeft(content, "\n"), 0o644); err != nil {
		return fmt.Errorf("write draft: %w", err)
	}
	_, err := fmt.Fprintf(a.stdout, "wrote %s\n", target)
	return err
}

// stem is the name of the mapping file of an event.
func stem(name string) string {
	return strings.Trim(strings.NewReplacer(".", "_", " ", "_", ":", "_").Replace(strings.TrimPrefix(name, "edx.")), "_")
}
