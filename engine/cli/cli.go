// Package cli is how the commands end: errors with hints and faults, their form on a terminal, and exit codes.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/erbd/erbd/engine/diag"
)

// Exit codes.
const (
	ExitFine    = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// Failure is an error with what its message needs beyond the text.
type Failure struct {
	Err    error
	Faults diag.List // shown before the message
	Hints  []string
	Usage  bool // of the command line
}

// Error is the text without faults and hints.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// Fail returns an error with hints: what the user may do about it.
func Fail(err error, hints ...string) error { return &Failure{Err: err, Hints: hints} }

// Misuse returns an error of the command line.
func Misuse(err error, hints ...string) error { return &Failure{Err: err, Hints: hints, Usage: true} }

// Faulty returns an error for what is wrong with files: each fault is shown where it stands.
func Faulty(what string, faults diag.List) error {
	return &Failure{Err: fmt.Errorf("%s in %s", Plural(len(faults.Errors()), "fault"), what), Faults: faults}
}

// Plural is a number with the word for what is counted.
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Report writes an error of the command prog for people and returns the exit code. An error from before the command
// ran (running is false) is one of the command line.
func Report(w io.Writer, prog string, err error, running bool) int {
	if err == nil {
		return ExitFine
	}
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Err: err}
	}
	usage := f.Usage || !running
	if len(f.Faults) > 0 {
		fmt.Fprintln(w, f.Faults.Render())
	}
	// Further lines of cobra's messages are suggestions.
	message, rest, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	fmt.Fprintf(w, "%s: error: %s\n", prog, message)
	hints := f.Hints
	if len(hints) == 0 && strings.Contains(rest, "Did you mean this?") {
		hints = []string{"did you mean " + strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(rest), "Did you mean this?")), " or ") + "?"}
	}
	if usage && len(hints) == 0 {
		hints = []string{fmt.Sprintf(`"%[1]s --help" and "%[1]s COMMAND --help" show what there is`, prog)}
	}
	for _, hint := range hints {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
	if usage {
		return ExitUsage
	}
	return ExitFailure
}
