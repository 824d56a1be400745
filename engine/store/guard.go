package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/erbd/erbd/engine/stream"
)

// ErrDown: the store cannot be written, and is closed until it can.
var ErrDown = errors.New("the store cannot be written")

// DefaultReserve is the room that stays free on the disk, in bytes.
const DefaultReserve = 256 << 20

const (
	// reservePart bounds the reserve by the size of the disk: a twentieth.
	reservePart = 20
	// tick is how often the guard looks.
	tick = 500 * time.Millisecond
	// retryMin and retryMax bound the waits between two tries to open a store that can be written but fails again.
	retryMin, retryMax = time.Second, time.Minute
	// steady is how long the store must have worked for the next failure to count as the first one.
	steady = 2 * time.Minute
)

// The states of a store.
const (
	// OK: events are taken in.
	OK = "ok"
	// Low: the disk is nearly full. Publishers are refused; what was accepted is still transformed and delivered.
	Low = "low"
	// Down: the store is closed since it cannot be written. Publishers are refused, and nothing moves.
	Down = "down"
)

// Options of a Guard.
type Options struct {
	Server *stream.Embedded
	// Conn answers publishers while the store is closed: a connection inside the process.
	Conn *nats.Conn
	// Reserve is the room to leave free on the disk, in bytes: at most a twentieth of the disk is. 0 means
	// DefaultReserve.
	Reserve int64
	// Intake opens or closes the intake stream. It is called one at a time.
	Intake func(ctx context.Context, open bool) error
	// Restored is called when the store is open again after a failure.
	Restored func(ctx context.Context)
	Log      *slog.Logger
}

// Status is the state of the store.
type Status struct {
	// State is ok, low or down; Reason says why it is not ok, and Since when it became what it is.
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	// Free is what can be written to the disk and Reserve what has to stay free, in bytes; Free is -1 where the
	// system does not tell.
	Free    int64 `json:"free_bytes"`
	Reserve int64 `json:"reserve_bytes"`
	// Failures counts the failures since the start.
	Failures uint64 `json:"failures"`
	// Losses are the damages that were found in the last week.
	Losses []Loss `json:"losses,omitempty"`
}

// Guard watches a store. Its methods are safe for concurrent use; Run is to be called once.
type Guard struct {
	opt Options
	dir string

	// turn is held for writing while the store is opened, closed, or the intake changes.
	turn sync.RWMutex
	gate *gate // guarded by turn

	mu     sync.Mutex
	status Status

	// Of Run alone:
	closed  bool // the intake, as the server has it
	opened  time.Time
	wait    time.Duration
	nextTry time.Time
	noted   bool // that the intake could not be changed
}

// New returns a guard of a store that works. Whether the intake has to be closed from the start, Closed tells.
func New(o Options) *Guard {
	g := &Guard{opt: o, dir: o.Server.StoreDir(), opened: time.Now()}
	if g.opt.Reserve == 0 {
		g.opt.Reserve = DefaultReserve
	}
	g.measure()
	g.status.State, g.status.Since = OK, now()
	if g.scarce() {
		g.enter(Low, g.scarcity())
		g.closed = true
	}
	return g
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// Status returns the state as of the last look.
func (g *Guard) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

// Closed reports whether the intake has to be closed.
func (g *Guard) Closed() bool { return g.Status().State != OK }

// Tight says why nothing new should be stored even of what was accepted, "" where it may be: the store is down, or
// half of the reserve is used up. What the transformation makes of events takes room until it is delivered.
func (g *Guard) Tight() string {
	s := g.Status()
	if s.State == Down || s.State == Low && s.Free >= 0 && s.Free < s.Reserve/2 {
		return s.Reason
	}
	return ""
}

// Hold calls f while the guard leaves the store and the intake as they are. It returns an error that wraps ErrDown
// instead where the store is closed.
func (g *Guard) Hold(f func() error) error {
	g.turn.RLock()
	defer g.turn.RUnlock()
	if s := g.Status(); s.State == Down {
		return fmt.Errorf("%w: %s", ErrDown, s.Reason)
	}
	return f()
}

// Run watches until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			g.look(ctx)
		}
	}
}

func (g *Guard) look(ctx context.Context) {
	g.measure()
	if g.Status().State == Down {
		g.revive(ctx)
		return
	}
	if err := g.opt.Server.StoreFault(); err != nil {
		g.fail(err)
		return
	}
	g.balance(ctx)
}

// measure looks how much room there is.
func (g *Guard) measure() {
	free, size, err := room(g.dir)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.status.Free, g.status.Reserve = -1, g.opt.Reserve
		return
	}
	g.status.Free, g.status.Reserve = free, min(g.opt.Reserve, size/reservePart)
}

// scarce reports whether the intake must be closed: at the reserve, and until there is a quarter more than that, lest
// it open and close all the time.
func (g *Guard) scarce() bool {
	s := g.Status()
	limit := s.Reserve
	if g.closed {
		limit += limit / 4
	}
	return s.Free >= 0 && s.Free < limit
}

func (g *Guard) scarcity() string {
	s := g.Status()
	return fmt.Sprintf("the disk of the store is nearly full: %d MiB are free, %d MiB must stay free", s.Free>>20, s.Reserve>>20)
}

// enter changes the state and reports whether it is a new one.
func (g *Guard) enter(state, reason string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	is := g.status.State != state
	if is {
		g.status.State, g.status.Since = state, now()
	}
	g.status.Reason = reason
	return is
}

// balance closes or opens the intake as the room demands.
func (g *Guard) balance(ctx context.Context) {
	scarce := g.scarce()
	if scarce {
		if g.enter(Low, g.scarcity()) {
			g.opt.Log.Error("no event is accepted until there is room on the disk", "store", g.dir, "reason", g.Status().Reason)
		}
	}
	if scarce != g.closed {
		g.turn.Lock()
		err := g.opt.Intake(ctx, !scarce)
		g.turn.Unlock()
		if err != nil {
			if full := Probe(g.dir); scarce && full != nil {
				g.fail(full) // there is no room to write even that
				return
			}
			if !g.noted && ctx.Err() == nil {
				g.noted = true
				g.opt.Log.Error("the intake cannot be opened or closed", "error", err)
			}
			return
		}
		g.closed, g.noted = scarce, false
	}
	if !scarce && g.enter(OK, "") {
		g.opt.Log.Info("events are accepted again", "store", g.dir)
	}
}

// fail closes a store that cannot be written and answers publishers from then on.
func (g *Guard) fail(why error) {
	if time.Since(g.opened) > steady {
		g.wait = 0
	}
	g.turn.Lock()
	defer g.turn.Unlock()
	reason := why.Error()
	if err := Probe(g.dir); err != nil {
		reason = err.Error() // the cause, where the server has only its consequence
	}
	if g.enter(Down, reason) {
		g.opt.Log.Error("the store cannot be written: no event is accepted until it can, what was accepted is kept", "store", g.dir, "reason", reason)
		g.mu.Lock()
		g.status.Failures++
		g.mu.Unlock()
	}
	if err := g.opt.Server.StopStore(); err != nil {
		g.opt.Log.Error("the store does not close", "error", err)
	}
	g.answer("erbd: the store cannot be written: " + reason)
	g.nextTry = time.Now().Add(g.wait)
	g.wait = min(max(2*g.wait, retryMin), retryMax)
}

// answer makes the gate answer; turn is held.
func (g *Guard) answer(reason string) {
	g.gate.open(g.opt.Conn)
	var err error
	if g.gate, err = shut(g.opt.Conn, reason); err != nil {
		g.opt.Log.Warn("publishers get no answer while the store is closed", "error", err)
	}
}

// revive opens the store again once it can be written.
func (g *Guard) revive(ctx context.Context) {
	if time.Now().Before(g.nextTry) {
		return
	}
	if s := g.Status(); s.Free >= 0 && s.Free < s.Reserve/2 {
		return // it would fail again
	}
	if err := Probe(g.dir); err != nil {
		g.enter(Down, err.Error())
		return
	}
	if !g.reopen(ctx) {
		return
	}
	if !g.closed {
		g.enter(OK, "")
	} else {
		g.enter(Low, g.scarcity())
	}
	g.opt.Log.Info("the store can be written again: erbd goes on", "store", g.dir, "accepting", !g.closed)
	g.opt.Restored(ctx)
}

// reopen opens the store and closes the intake where room is scarce; it reports whether the store works.
func (g *Guard) reopen(ctx context.Context) bool {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.closed = false // unknown: what the server has was perhaps never written
	g.gate.open(g.opt.Conn)
	g.gate = nil
	err := g.opt.Server.StartStore()
	if err == nil {
		err = g.opt.Server.StoreFault()
	}
	if err == nil {
		scarce := g.scarce()
		if err = g.opt.Intake(ctx, !scarce); err == nil {
			g.closed = scarce
		}
	}
	if err == nil {
		g.opened = time.Now()
		return true
	}
	g.enter(Down, err.Error())
	if err := g.opt.Server.StopStore(); err != nil {
		g.opt.Log.Error("the store does not close", "error", err)
	}
	g.answer("erbd: the store cannot be written: " + err.Error())
	g.nextTry = time.Now().Add(g.wait)
	g.wait = min(max(2*g.wait, retryMin), retryMax)
	return false
}
