package diag

import (
	"errors"
	"fmt"
)

// ErrUnknownSeverity is returned by [Severity.UnmarshalText] for a word that is no severity.
var ErrUnknownSeverity = errors.New("unknown severity")

// Severity says how bad a diagnostic is. The zero value is [Error].
type Severity uint8

const (
	// Error makes the file unusable.
	Error Severity = iota
	// Warning leaves the file usable, but something is probably not as meant.
	Warning
	// Info is a remark.
	Info
)

// String returns "error", "warning" or "info".
func (s Severity) String() string {
	switch s {
	case Error:
		return "error"
	case Warning:
		return "warning"
	case Info:
		return "info"
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// MarshalText writes the word of [Severity.String].
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads "error", "warning" or "info". It returns [ErrUnknownSeverity] for anything else.
func (s *Severity) UnmarshalText(text []byte) error {
	for _, v := range []Severity{Error, Warning, Info} {
		if string(text) == v.String() {
			*s = v
			return nil
		}
	}
	return fmt.Errorf("%w %q: use error, warning or info", ErrUnknownSeverity, text)
}
