package stream

import (
	"fmt"
	"strings"
)

// Names of the streams.
const (
	// RawStream holds the events that wait for a backend's transformation.
	RawStream = "ERB_RAW"
	// OutStream holds the statements that wait for delivery.
	OutStream = "ERB_OUT"
	// BadStream keeps messages that could not be read, bounded, oldest out first.
	BadStream = "ERB_BAD"
)

// Subjects.
const (
	// RawSubjects is where events are published: any subject under erb.raw.
	RawSubjects = "erb.raw.>"
	// OutSubjects covers the delivery subjects of all routers.
	OutSubjects = "erb.out.>"
	// BadSubjects covers what is kept aside.
	BadSubjects = "erb.bad.>"
	// PublishSubject is the subject that erbd publishes its own events on.
	PublishSubject = "erb.raw.events"
)

// MaxName is the longest name of a backend or router, in bytes.
const MaxName = 64

// OutSubject returns the delivery subject of a router.
func OutSubject(backend, router string) string { return outPrefix + backend + "." + router }

// outPrefix is the start of all delivery subjects.
const outPrefix = "erb.out."

// TransformDurable returns the name of the consumer on RawStream that feeds a backend.
func TransformDurable(backend string) string { return "transform_" + backend }

// DeliverDurable returns the name of the consumer on OutStream that feeds a router.
func DeliverDurable(backend, router string) string { return "deliver_" + backend + "_" + router }

// CheckName returns ErrName unless a backend's or router's name can stand in subjects, consumer names and keys:
// 1 to MaxName of the characters a–z, A–Z, 0–9, _ and -.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: %.80q has %d characters: use 1 to %d", ErrName, name, len(name), MaxName)
	}
	i := strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
	if i >= 0 {
		return fmt.Errorf("%w: %q: use the characters a-z, A-Z, 0-9, _ and - only", ErrName, name)
	}
	return nil
}
