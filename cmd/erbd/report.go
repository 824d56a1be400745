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

// faulty returns an error for what is wrong with files: each fault is shown
// where it stands.
func faulty(what string, faults diag.List) error {
	n := len(faults.Errors())
	text := "1 fault"
	if n != 1 {
		text = fmt.Sprintf("%d faults", n)
	}
	return &failure{err: fmt.Errorf("%s in %s", text, what), faults: faults}
}

// joined is both errors in one, with the faults and hints of both; nil where both are.
func joined(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	all := &failure{err: fmt.Errorf("%w; %w", a, b)}
	for _, err := range []error{a, b} {
		var f *failure
		if errors.As(err, &f) {
			all.faults, all.hints = append(all.faults, f.faults...), append(all.hints, f.hints...)
		}
	}
	return all
}

// spelled is an error with all its faults in its text, a line each: for logs, which show nothing else.
func spelled(err error) error {
	var f *failure
	if !errors.As(err, &f) || len(f.faults) == 0 {
		return err
	}
	lines := make([]string, len(f.faults))
	for i, d := range f.faults {
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
func (a *app) report(err error) int {
	if err == nil {
		return exitFine
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
	fmt.Fprintf(a.stderr, "erbd: error: %s\n", message)
	hints := f.hints
	if len(hints) == 0 && strings.Contains(rest, "Did you mean this?") {
		hints = []string{"did you mean " + strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(rest), "Did you mean this?")), " or ") + "?"}
	}
	if usage && len(hints) == 0 {
		hints = []string{`"erbd --help" and "erbd COMMAND --help" show what there is`}
	}
	for _, hint := range hints {
		fmt.Fprintf(a.stderr, "hint: %s\n", hint)
	}
	if usage {
		return exitUsage
	}
	return exitFailure
}
