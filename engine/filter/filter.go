// Package filter decides by its name whether an event is wanted at all, before
// anything else is done with it: the NameWhitelist and RegexFilter processors
// of the event-tracking library.
package filter

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"sync/atomic"
)

// Type says what a match of a regular expression means.
type Type string

const (
	// Allowlist lets an event through if any expression matches its name.
	Allowlist Type = "allowlist"
	// Blocklist lets an event through if no expression matches its name.
	Blocklist Type = "blocklist"
)

// Errors of [Regex]; test for them with errors.Is.
var (
	// ErrType: the type is neither allowlist nor blocklist.
	ErrType = errors.New("unknown filter type")
	// ErrExpression: an expression is not valid in RE2 syntax.
	ErrExpression = errors.New("invalid regular expression")
)

// Filter lets events through or not. It is immutable but for what it remembers
// and safe for concurrent use.
type Filter struct {
	names   map[string]struct{} // nil for All and expressions
	regex   *regexp.Regexp      // nil: matches nothing
	matched bool                // what Allows answers for a match of regex
	known   sync.Map            // name → bool, what regex said
	count   atomic.Int64
}

const (
	// maxKnown bounds the names that a filter remembers an answer for, so that
	// invented names cannot fill the memory.
	maxKnown = 4096
	// maxKnownLength is the longest name remembered, in bytes.
	maxKnownLength = 256
)

// All returns the filter that lets every event through.
func All() *Filter { return &Filter{matched: false} }

// Names returns a filter that lets exactly the named events through; without
// names none at all.
func Names(names []string) *Filter {
	f := &Filter{names: make(map[string]struct{}, len(names))}
	for _, name := range names {
		f.names[name] = struct{}{}
	}
	return f
}

// ExpressionError tells which of the expressions is at fault.
type ExpressionError struct {
	// Index of the expression in the list, from 0.
	Index int
	// Reason is what is wrong with it, Hint what to write instead or "".
	Reason, Hint string
}

// Error implements error.
func (e *ExpressionError) Error() string {
	s := fmt.Sprintf("%v [%d]: %s", ErrExpression, e.Index, e.Reason)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap makes errors.Is find [ErrExpression].
func (e *ExpressionError) Unwrap() error { return ErrExpression }

// Regex returns a filter of regular expressions in RE2 syntax. An expression
// matches from the start of the name on, but need not reach its end, as with
// Python's re.match. Without expressions an allowlist lets nothing through and
// a blocklist everything. Errors: [ErrType]; [ErrExpression] by an
// [*ExpressionError] for each faulty expression, joined.
func Regex(kind Type, expressions []string) (*Filter, error) {
	if kind != Allowlist && kind != Blocklist {
		return nil, fmt.Errorf("%w %q: use %s or %s", ErrType, string(kind), Allowlist, Blocklist)
	}
	f := &Filter{matched: kind == Allowlist}
	if len(expressions) == 0 {
		if kind == Allowlist {
			return Names(nil), nil
		}
		return f, nil
	}
	var faults []error
	for i, expression := range expressions {
		// Alone, so that an unbalanced bracket cannot pair with one of another expression.
		if _, err := regexp.Compile(expression); err != nil {
			faults = append(faults, explain(i, expression, err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	all := `\A(?:(?:` + strings.Join(expressions, `)|(?:`) + `))`
	regex, err := regexp.Compile(all)
	if err != nil { // each one is valid: they are too large together
		return nil, fmt.Errorf("%w: all expressions together: %w", ErrExpression, err)
	}
	f.regex = regex
	return f, nil
}

func explain(i int, expression string, err error) error {
	e := &ExpressionError{Index: i, Reason: err.Error()}
	var fault *syntax.Error
	if errors.As(err, &fault) {
		e.Reason = string(fault.Code)
		if fault.Expr != "" && fault.Expr != expression {
			e.Reason += " " + fault.Expr
		}
	}
	for _, look := range [...]string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(expression, look) {
			e.Hint = "look-around " + look + "…) is not available; list the names or use the other filter type"
		}
	}
	return e
}

// Allows reports whether an event of this name is let through.
func (f *Filter) Allows(name string) bool {
	if f.names != nil {
		_, ok := f.names[name]
		return ok
	}
	if f.regex == nil {
		return !f.matched
	}
	if answer, ok := f.known.Load(name); ok {
		return answer.(bool)
	}
	answer := f.regex.MatchString(name) == f.matched
	if len(name) <= maxKnownLength && f.count.Load() < maxKnown {
		if _, loaded := f.known.LoadOrStore(strings.Clone(name), answer); !loaded {
			f.count.Add(1)
		}
	}
	return answer
}
