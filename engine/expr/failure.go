package expr

import (
	"errors"
	"fmt"
	"unsafe"
)

// Failure says why an expression has no value for an event. It never holds values of the event.
type Failure struct {
	// Reason is a sentence without a stop, such as "seconds: expected a number, got text".
	Reason string
	// Err is the cause where the reason came from outside, such as a look-up.
	Err error
	// Transient is true where trying the same event later may succeed.
	Transient bool
	// Origin is set by the owner of the expression that failed first, to name its place.
	Origin any
}

// Error returns the reason.
func (f *Failure) Error() string { return f.Reason }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// ErrRejected is the cause of failures that a mapping asked for: an absent required value, or reject().
var ErrRejected = errors.New("rejected by the mapping")

func fail(format string, args ...any) Value {
	return failWith(&Failure{Reason: fmt.Sprintf(format, args...)})
}

func reject(format string, args ...any) Value {
	return failWith(&Failure{Reason: fmt.Sprintf(format, args...), Err: ErrRejected})
}

func failWith(f *Failure) Value { return Value{kind: Failed, ptr: unsafe.Pointer(f)} }

// wrongKind reports an argument of a kind that a function cannot use.
func wrongKind(function, want string, got Value) Value {
	return fail("%s: expected %s, got %s", function, want, got.kind)
}

// FailedValue is the value of an expression that failed.
func FailedValue(f *Failure) Value { return failWith(f) }
