package stream

import "fmt"

// Outcome is the end of one event at one router. Of an event that became several statements the worst one counts:
// the outcomes are in that order.
type Outcome uint8

// The outcomes.
const (
	// Duplicate: every statement was at the record store already.
	Duplicate Outcome = iota + 1
	// Delivered: the record store has all statements.
	Delivered
	// Dropped: given up and lost; the event is not critical.
	Dropped
	// Kept: given up and put into the bucket of failed events.
	Kept
)

var outcomeNames = [...]string{"", "duplicate", "delivered", "dropped", "kept"}

// String returns the outcome in lower case, fit for a metric label.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; an unknown word wraps ErrFrame.
func (o *Outcome) UnmarshalText(b []byte) error {
	for i, n := range outcomeNames {
		if n == string(b) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("%w: unknown outcome %.20q", ErrFrame, b)
}
