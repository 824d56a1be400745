package loadtest

import (
	"errors"
	"fmt"
	"time"
)

// ErrOptions: options that cannot work.
var ErrOptions = errors.New("unusable options")

// Options of Measure.
type Options struct {
	// Program is the path of erbd.
	Program string
	// Dir is where temporary folders are made, one a run; "": the system's. Its disk is what is measured.
	Dir string
	// Events is the number of events of a run.
	Events int
	// Backlog is the number of events that wait for routers when a daemon starts; 0: none.
	Backlog int
	// Batch is the number of statements in a request, Interval the longest wait for a batch to fill.
	Batch    int
	Interval time.Duration
	// Rate is the number of events in a second, each a message, for the latency, and Steady how long they are
	// published; 0: no such part.
	Rate   int
	Steady time.Duration
	// Runs are what is measured, one after the other.
	Runs []Setup
	// Env is the environment of the daemon.
	Env []string
	// Tell, if set, is told what is going on.
	Tell func(string)
}

// Setup is what tells runs apart.
type Setup struct {
	// Always is the setting nats.sync_always: each acknowledged message is on the disk.
	Always bool `json:"sync_always"`
	// Routers is the number of routers; each gets every event.
	Routers int `json:"routers"`
	// Pack is the number of events in a message.
	Pack int `json:"events_per_message"`
}

func (s Setup) sync() string {
	if s.Always {
		return "always"
	}
	return "default"
}

func (s Setup) String() string {
	return fmt.Sprintf("sync %s, routers %d, events in a message %d", s.sync(), s.Routers, s.Pack)
}

// check returns an error that wraps ErrOptions.
func (o *Options) check() error {
	switch {
	case o.Program == "":
		return fmt.Errorf("%w: the program is not known", ErrOptions)
	case o.Events < 1 || o.Backlog < 0:
		return fmt.Errorf("%w: there must be an event", ErrOptions)
	case o.Batch < 1 || o.Interval <= 0:
		return fmt.Errorf("%w: batches need a size and an interval", ErrOptions)
	case o.Rate < 0 || o.Steady < 0:
		return fmt.Errorf("%w: rate and time must not be negative", ErrOptions)
	case len(o.Runs) == 0:
		return fmt.Errorf("%w: there is nothing to measure", ErrOptions)
	}
	for _, s := range o.Runs {
		if s.Routers < 1 || s.Routers > 64 || s.Pack < 1 || s.Pack > 10_000 {
			return fmt.Errorf("%w: 1 to 64 routers and 1 to 10000 events in a message, not %d and %d", ErrOptions, s.Routers, s.Pack)
		}
	}
	return nil
}

func (o *Options) tell(format string, args ...any) {
	if o.Tell != nil {
		o.Tell(fmt.Sprintf(format, args...))
	}
}
