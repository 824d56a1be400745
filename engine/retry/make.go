package retry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/failed"
	"github.com/erbd/erbd/engine/mapping"
)

// Errors of a Maker, for errors.Is.
var (
	// ErrNoEvent: the record was too large to keep its original event.
	ErrNoEvent = errors.New("the original event was not kept")
	// ErrNotMade: the mappings make nothing of the event, or refuse it.
	ErrNotMade = errors.New("the event gives no statement")
)

// Worker transforms events; *mapping.Worker is one. It is used by one goroutine at a time.
type Worker interface {
	Transform(ctx context.Context, ev event.Event) mapping.Result
}

// Maker makes the statements of one backend anew from original events. It is safe for concurrent use.
type Maker struct {
	mu       sync.Mutex
	parser   *event.Parser
	worker   Worker
	override func(router string, statement []byte) ([]byte, error)
}

// NewMaker returns a Maker; override, which may be nil, applies what a router sets in each statement.
func NewMaker(limits event.Limits, w Worker, override func(router string, statement []byte) ([]byte, error)) *Maker {
	return &Maker{parser: event.NewParser(limits), worker: w, override: override}
}

// Make returns the statements of a record's event. Errors: ErrNoEvent, ErrNotMade, or what a look-up says.
func (m *Maker) Make(ctx context.Context, r *failed.Record) ([]failed.Statement, error) {
	if len(r.Event) == 0 {
		return nil, fmt.Errorf("%w: send the statements as they were stored", ErrNoEvent)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	ev, err := m.parser.Parse(r.Event)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotMade, err)
	}
	made := m.worker.Transform(ctx, ev)
	switch made.Outcome {
	case mapping.Transformed:
	case mapping.Rejected:
		return nil, fmt.Errorf("%w: %w (%s)", ErrNotMade, made.Rejection, made.Rejection.Pos)
	case mapping.Failed:
		return nil, fmt.Errorf("look up users and courses: %w", made.Err)
	default:
		return nil, fmt.Errorf("%w: no mapping has its name", ErrNotMade)
	}
	out := make([]failed.Statement, len(made.Statements))
	for i, s := range made.Statements {
		doc := bytes.Clone(s.JSON)
		if m.override != nil {
			if doc, err = m.override(r.Router, doc); err != nil {
				return nil, err
			}
		}
		out[i] = failed.Statement{ID: strings.Clone(s.ID), JSON: json.RawMessage(doc)}
	}
	return out, nil
}
