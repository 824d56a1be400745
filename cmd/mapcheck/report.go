package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/erbd/erbd/engine/diag"
)

// Exit codes.
const (
	exitFine    = 0
	exitFailure = 1
	exitUsage   = 2
)

// failure is an error with what its message needs beyond the text.
type failure struct {
	err    error
	faults diag.List // shown before the message
	hints  []string
	usage  bool // of the command line
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail returns an error with hints: what the user may do about it.
func fail(err error, hints ...string) error { return &failure{err: err, hints: hints} }

// misuse returns an error of the command line.
func misuse(err error, hints ...string) error {
	return &failure{err: err, hints: hints, usage: true}
}

// faulty returns an error for what is wrong with files: each fault is shown where it stands.
func faulty(what string, faults diag.List) error {
	return &failure{err: fmt.Errorf("%s in %s", plural(len(faults.Errors()), "fault"), what), faults: faults}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// errFound ends a command whose output has said what is wrong.
var errFound = errors.New("faults were found")

// report writes an error for people and returns the exit code.
func (a *app) report(err error) int {
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errFound):
		return exitFailure
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{err: err}
	}
	usage := f.usage || !a.running // cobra's own errors come before the command runs
	if len(f.faults) > 0 {
		fmt.Fprintln(a.stderr, f.faults.Render())
	}
	// Further lines of cobra's messages are suggestions.
	message, rest, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	fmt.Fprintf(a.stderr, "mapcheck: error: %s\n", message)
	hints := f.hints
	if len(hints) == 0 && strings.Contains(rest, "Did you mean this?") {
		hints = []string{"did you mean " + strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(rest), "Did you mean this?")), " or ") + "?"}
	}
	if usage && len(hints) == 0 {
		hints = []string{`"mapcheck --help" and "mapcheck COMMAND --help" show what there is`}
	}
	for _, hint := range hints {
		fmt.Fprintf(a.stderr, "hint: %s\n", hint)
	}
	if usage {
		return exitUsage
	}
	return exitFailure
}
