package main

import (
	"errors"

	"github.com/erbd/erbd/engine/cli"
)

// errFound ends a command whose output has said what is wrong.
var errFound = errors.New("faults were found")

// report writes an error for people and returns the exit code.
func (a *app) report(err error) int {
	if errors.Is(err, errFound) {
		return cli.ExitFailure
	}
	return cli.Report(a.stderr, "mapcheck", err, a.running)
}
