package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/diag"
)

// joined is both errors in one, with the faults and hints of both; nil where both are.
func joined(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	all := &cli.Failure{Err: fmt.Errorf("%w; %w", a, b)}
	for _, err := range []error{a, b} {
		var f *cli.Failure
		if errors.As(err, &f) {
			all.Faults, all.Hints = append(all.Faults, f.Faults...), append(all.Hints, f.Hints...)
		}
	}
	return all
}

// spelled is an error with all its faults in its text, a line each: for logs, which show nothing else.
func spelled(err error) error {
	var f *cli.Failure
	if !errors.As(err, &f) || len(f.Faults) == 0 {
		return err
	}
	lines := make([]string, len(f.Faults))
	for i, d := range f.Faults {
		lines[i] = d.Error()
	}
	return fmt.Errorf("%w:\n%s", err, strings.Join(lines, "\n"))
}

// warn shows what is odd but no error.
func (a *app) warn(faults diag.List) {
	for _, d := range faults {
		fmt.Fprintf(a.stderr, "erbd: %s\n", d.Error())
	}
}

// report writes an error for people and returns the exit code.
func (a *app) report(err error) int { return cli.Report(a.stderr, "erbd", err, a.running) }
