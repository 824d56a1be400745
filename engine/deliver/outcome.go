package deliver

import (
	"fmt"
	"time"
)

// Kind says what became of one item of a Send.
type Kind uint8

// The kinds of outcome. The zero Kind is none of them, so that an outcome that was never filled in shows.
const (
	// Delivered: the record store took the item (2xx).
	Delivered Kind = iota + 1
	// Duplicate: the record store has it already (409 on the item alone), or it stood twice in the same Send.
	Duplicate
	// Transient: may work later (408, 429, 5xx, a broken or timed-out exchange). It costs the item an attempt.
	Transient
	// Permanent: the record store refuses the item itself; sending it again is pointless.
	Permanent
	// Pause: the endpoint, not the item, is at fault (unreachable, 401, 403, 404, a redirect).
	// The router has to stop; no item has used an attempt.
	Pause
	// Aborted: the context ended before there was an answer. Nothing is known of the item.
	Aborted
)

// String returns the name of the kind in lower case, fit for a metric label.
func (k Kind) String() string {
	switch k {
	case Delivered:
		return "delivered"
	case Duplicate:
		return "duplicate"
	case Transient:
		return "transient"
	case Permanent:
		return "permanent"
	case Pause:
		return "pause"
	case Aborted:
		return "aborted"
	default:
		return "unknown"
	}
}

// Outcome is what became of one item.
type Outcome struct {
	Kind Kind
	// Status is the HTTP status that decided, 0 when there was no answer.
	Status int
	// Reason is one of a bounded set of words ("http_400", "timeout", "unreachable", "dns", "tls", "redirect",
	// "forbidden_target", "plaintext", "broken", "stopped"): for logs and metric labels. It never holds data of an event.
	Reason string
	// Answer is the beginning of the record store's answer, at most MaxAnswer bytes, without the router's secrets.
	// A record store may echo the statement in it: show it to the operator who asks, never log it.
	Answer string
	// After is how long the record store asked to wait (Retry-After), 0 when it did not ask.
	After time.Duration
	// Err says in words what went wrong; nil for Delivered and Duplicate. It holds no secrets and no event data.
	Err error
}

// Done reports whether the item is at the record store.
func (o Outcome) Done() bool { return o.Kind == Delivered || o.Kind == Duplicate }

func (o Outcome) String() string {
	if o.Err != nil {
		return fmt.Sprintf("%s (%s): %v", o.Kind, o.Reason, o.Err)
	}
	return o.Kind.String()
}
