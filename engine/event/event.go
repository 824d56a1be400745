// Package event reads edX tracking events: one JSON object each, in the emitted
// shape of the event-tracking library or in the shape of a tracking-log line.
//
// A [Reader] cuts a log into lines, a [Parser] turns one line into an [Event]:
// validated JSON of bounded size and depth, brought to the emitted shape. All
// that follows may rely on this and need not validate again.
package event

import (
	"errors"
	"fmt"
)

// Limits bound what one event may cost. The zero value means [DefaultLimits];
// a single zero field means the default of that field.
type Limits struct {
	// MaxBytes is the length of the longest accepted line, in bytes, without
	// its line end. Default 8 MiB.
	MaxBytes int
	// MaxDepth is how deep objects and lists may nest; the event itself counts
	// as one. Default 256.
	MaxDepth int
}

// DefaultLimits hold for a [Parser] that was given no others.
var DefaultLimits = Limits{MaxBytes: 8 << 20, MaxDepth: 256}

func (l Limits) orDefault() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultLimits.MaxBytes
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultLimits.MaxDepth
	}
	return l
}

// Event is one edX event in the emitted shape.
type Event struct {
	// Name is the event's name, never empty. It stays valid.
	Name string
	// JSON is one valid JSON object in UTF-8 without line breaks between its
	// tokens. Values are the bytes of the input; numbers in particular are
	// never written anew. It shares memory with the parsed line or with the
	// parser: valid until the next call of Parse, read-only.
	JSON []byte
	// members are those of the objects in JSON, where a Parser noted them.
	members []member
}

// Errors of [Parser.Parse]; test for them with errors.Is.
var (
	// ErrEmpty: the line holds nothing but white space.
	ErrEmpty = errors.New("empty line")
	// ErrTooLarge: the line is longer than Limits.MaxBytes.
	ErrTooLarge = errors.New("event is too large")
	// ErrTooDeep: objects and lists nest deeper than Limits.MaxDepth.
	ErrTooDeep = errors.New("event is nested too deep")
	// ErrNotObject: the line holds no JSON object.
	ErrNotObject = errors.New("event is not a json object")
	// ErrNoName: the event has no name that is a text with something in it.
	ErrNoName = errors.New("event has no name")
	// ErrInvalidUTF8: a text of the event is not UTF-8.
	ErrInvalidUTF8 = errors.New("event is not valid utf-8")
)

// SyntaxError tells where a line stops being JSON. It quotes nothing of the
// line, which may hold personal data.
type SyntaxError struct {
	// Offset is the number of bytes of the line before the fault.
	Offset int
	// Expected says what should have stood there.
	Expected string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid json at byte %d: expected %s", e.Offset+1, e.Expected)
}
