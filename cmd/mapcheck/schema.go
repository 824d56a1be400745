package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/schema"
)

func newSchemaCmd(a *app) *cobra.Command {
	var dir string
	var check bool
	cmd := &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Print the JSON Schemas of the YAML files",
		Long: `schema prints the JSON Schema of a kind of file: mapping, filters, routers, settings
or case. With --dir it writes all of them to a folder, with --check as well it only
sees whether they are up to date. Editors use a schema by a comment in a file:

  # yaml-language-server: $schema=../../schemas/mapping.schema.json`,
		Example: "  mapcheck schema mapping\n  mapcheck schema --dir schemas\n  mapcheck schema --dir schemas --check",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && dir == "" && !check:
				out, err := schema.Generate(args[0])
				if err != nil {
					return cli.Misuse(err)
				}
				_, err = a.stdout.Write(out)
				return err
			case len(args) == 0 && dir != "":
				return a.schemas(dir, check)
			}
			return cli.Misuse(errors.New("name a kind of file, or --dir FOLDER for all of them"))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write the schemas of all kinds to this `folder`")
	cmd.Flags().BoolVar(&check, "check", false, "write nothing, but fail if a schema in the folder is out of date")
	return cmd
}

func (a *app) schemas(dir string, check bool) error {
	if !check {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("write schemas: %w", err)
		}
	}
	stale := 0
	for _, kind := range schema.Kinds() {
		out, err := schema.Generate(kind)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, schema.FileName(kind))
		old, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read schema: %w", err)
		}
		if bytes.Equal(old, out) {
			continue
		}
		if check {
			stale++
			fmt.Fprintf(a.stdout, "%s is out of date\n", file)
			continue
		}
		if err := os.WriteFile(file, out, 0o644); err != nil {
			return fmt.Errorf("write schemas: %w", err)
		}
		fmt.Fprintf(a.stdout, "wrote %s\n", file)
	}
	if stale > 0 {
		return cli.Fail(fmt.Errorf("%s out of date", cli.Plural(stale, "schema")), fmt.Sprintf(`"mapcheck schema --dir %s" writes them`, dir))
	}
	return nil
}
