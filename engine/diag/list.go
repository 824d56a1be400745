package diag

import (
	"cmp"
	"slices"
	"strings"
)

// List is all the diagnostics of a run. The zero value is ready for use. It is not an error itself, so that a nil
// List can never be taken for a fault; see [List.Err].
type List []*Diagnostic

// Sort orders the list by file, line, column, severity, path and message, and drops nothing. It is stable.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b *Diagnostic) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message))
	})
}

// HasErrors reports whether one of the diagnostics has the severity Error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d *Diagnostic) bool { return d.Severity == Error })
}

// Errors returns the diagnostics with the severity Error, in order. It shares no memory with l.
func (l List) Errors() List {
	var out List
	for _, d := range l {
		if d.Severity == Error {
			out = append(out, d)
		}
	}
	return out
}

// Err returns nil if no diagnostic has the severity Error, otherwise an error of all that have it. Its text is one
// line for each, its Unwrap gives them one by one, and [FromError] gives them back as a List.
func (l List) Err() error {
	if e := l.Errors(); len(e) > 0 {
		return &listError{list: e}
	}
	return nil
}

// Render returns [Diagnostic.Render] of each diagnostic, one after the other with an empty line between, or "" for an
// empty list. The text ends without a line break.
func (l List) Render() string {
	parts := make([]string, len(l))
	for i, d := range l {
		parts[i] = d.Render()
	}
	return strings.Join(parts, "\n\n")
}

type listError struct{ list List }

func (e *listError) Error() string {
	lines := make([]string, len(e.list))
	for i, d := range e.list {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

func (e *listError) Unwrap() []error {
	errs := make([]error, len(e.list))
	for i, d := range e.list {
		errs[i] = d
	}
	return errs
}

// FromError returns the diagnostics that err wraps, in order, or nil if there are none. The cause of a diagnostic is
// not searched for more.
func FromError(err error) List {
	return appendFrom(nil, err)
}

func appendFrom(list List, err error) List {
	switch e := err.(type) {
	case nil:
		return list
	case *Diagnostic:
		return append(list, e)
	case interface{ Unwrap() error }:
		return appendFrom(list, e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, sub := range e.Unwrap() {
			list = appendFrom(list, sub)
		}
	}
	return list
}
