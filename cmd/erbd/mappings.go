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
	"github.com/erbd/erbd/mappings"
)

func newMappingsCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mappings",
		Short: "Work with the embedded mappings",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMappingsExportCmd(a))
	return cmd
}

func newMappingsExportCmd(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write the embedded mappings to a folder, for editing",
		Long: `export writes the embedded mapping files to DIR, which it creates where needed,
one folder for each backend. Give DIR to --mappings, or set it as mappings, to
use the files. Files that are there and differ are left alone, and nothing at
all is written then, unless --force is given.`,
		Example: "  erbd mappings export ./mappings\n  erbd transform --mappings ./mappings tracking.log",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := export(mappings.FS, args[0], force)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "wrote %d files to %s\n", n, args[0])
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite files that differ")
	return cmd
}

// export copies all files of fsys below dir and returns how many it wrote;
// those that are there with the same content are not written.
func export(fsys fs.FS, dir string, force bool) (int, error) {
	contents := map[string][]byte{}
	var order []string
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(path))
		switch old, err := os.ReadFile(target); {
		case err == nil && bytes.Equal(old, content):
			return nil
		case err == nil && !force:
			return cli.Fail(fmt.Errorf("%s exists and differs; nothing was written", target), "use another folder, or --force to overwrite")
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("export mappings: %w", err)
		}
		contents[target] = content
		order = append(order, target)
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, target := range order {
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return 0, fmt.Errorf("export mappings: %w", err)
		}
		if err := os.WriteFile(target, contents[target], 0o644); err != nil {
			return 0, fmt.Errorf("export mappings: %w", err)
		}
	}
	return len(order), nil
}
