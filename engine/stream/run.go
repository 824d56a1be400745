package stream

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Run is one life of a daemon, as its counters see it: they begin anew with each process, while messages stay. It
// tells the messages that the process stored from those that it found.
type Run struct {
	// ID is unique. Delivery messages carry it in HeaderRun.
	ID string
	// After is the last place in OutStream that was taken before the run began.
	After uint64
}

// BeginRun starts a run. Nothing of it may have been published, and OutStream must exist.
func BeginRun(ctx context.Context, js jetstream.JetStream) (Run, error) {
	s, err := js.Stream(ctx, OutStream)
	if err != nil {
		return Run{}, fmt.Errorf("stream %s: %w", OutStream, err)
	}
	return Run{ID: rand.Text()[:12], After: s.CachedInfo().State.LastSeq}, nil
}

// New reports whether a message at a place in OutStream was stored in this run, not in an earlier one. Of several
// daemons at once it knows no difference.
func (r Run) New(seq uint64) bool { return seq > r.After }

// owns reports whether this run published the message with a header.
func (r Run) owns(h nats.Header) bool { return h.Get(HeaderRun) == r.ID }
