package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/route"
)

func newImportRoutersCmd(a *app) *cobra.Command {
	var out, secrets string
	var force bool
	cmd := &cobra.Command{
		Use:   "import-routers FILE|-",
		Short: "Make a routers file of the router rows of event-routing-backends",
		Long: `import-routers reads what
  manage.py dumpdata event_routing_backends.routerconfiguration
writes, with the encrypted columns decrypted, and writes a routers file. It
holds no secrets but refers to environment variables; --secrets writes those, as
NAME=value lines, to a file that only you can read. Notes on what was left out
or changed go to standard error.`,
		Example: "  erbd import-routers rows.json -o routers.yaml --secrets secrets.env",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.importRouters(args[0], out, secrets, force)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&out, "out", "o", "", "write the routers to `FILE` instead of standard output")
	flags.StringVar(&secrets, "secrets", "", "write the secrets to `FILE`")
	flags.BoolVar(&force, "force", false, "overwrite files that are there")
	return cmd
}

func (a *app) importRouters(in, out, secrets string, force bool) error {
	if out != "" && out == secrets {
		return cli.Misuse(errors.New("routers and secrets need a file each"))
	}
	var src []byte
	var err error
	if in == "-" {
		src, err = io.ReadAll(a.stdin)
	} else {
		src, err = os.ReadFile(in)
	}
	if err != nil {
		return fmt.Errorf("read router rows: %w", err)
	}
	imported, err := route.ImportRows(src)
	if err != nil {
		return err
	}
	for _, file := range []string{out, secrets} {
		if _, err := os.Lstat(file); file != "" && !force && !errors.Is(err, fs.ErrNotExist) {
			return cli.Fail(fmt.Errorf("%s exists; nothing was written", file), "use another name, or --force to overwrite")
		}
	}
	for _, note := range imported.Notes {
		fmt.Fprintf(a.stderr, "erbd: %s\n", note)
	}
	if secrets != "" {
		if err := a.writeSecrets(secrets, imported.Secrets, force); err != nil {
			return err
		}
	}
	if out == "" {
		_, err = a.stdout.Write(imported.YAML)
	} else {
		err = os.WriteFile(out, imported.YAML, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the routers: %w", err)
	}
	if out != "" {
		fmt.Fprintf(a.stderr, "erbd: wrote %d routers to %s\n", imported.Routers, out)
	}
	if secrets == "" && len(imported.Secrets) > 0 {
		names := make([]string, len(imported.Secrets))
		for i, v := range imported.Secrets {
			names[i] = v.Name
		}
		fmt.Fprintf(a.stderr, "erbd: set these variables to the secrets, or let --secrets FILE write them: %s\n", strings.Join(names, ", "))
	}
	return nil
}

// plainValue is a value that every reader of NAME=value lines understands alike.
var plainValue = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]*$`)

// writeSecrets writes NAME=value lines to a file that only the user can read.
func (a *app) writeSecrets(path string, list []route.Variable, force bool) error {
	var b bytes.Buffer
	for _, v := range list {
		if strings.ContainsAny(v.Value, "\r\n\x00") {
			return cli.Fail(fmt.Errorf("the value of %s has several lines, which NAME=value cannot hold; nothing was written", v.Name),
				"leave --secrets out, put that secret into a file and write ${file:PATH} into the routers file")
		}
		if !plainValue.MatchString(v.Value) {
			fmt.Fprintf(a.stderr, "erbd: the value of %s is written as it is, but a shell or systemd reads some of its characters in their own way\n", v.Name)
		}
		fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Value)
	}
	flag := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force { // a new file, so that its mode is the one below
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("write the secrets: %w", err)
		}
	}
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return fmt.Errorf("write the secrets: %w", err)
	}
	if _, err = f.Write(b.Bytes()); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the secrets: %w", err)
	}
	fmt.Fprintf(a.stderr, "erbd: wrote %d secrets to %s\n", len(list), path)
	return nil
}
