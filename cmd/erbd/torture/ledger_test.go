//go:build unix

package torture

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLedger kills the daemon again and again while events flow and record stores fail in every way. Then each event that
// was acknowledged is where it belongs. After that nothing is killed, and the counters are the ledger's, to the event.
func TestLedger(t *testing.T) {
	kills, pause, rate, calm := 4, time.Second, 20, time.Second
	if *full {
		kills, pause, rate, calm = max(1, int(*length/(1500*time.Millisecond))), 3*time.Second, 30, *length/4
	}
	const part = "ledger: one daemon, killed"
	t.Logf("seed %d: make torture SEED=%[1]d", *seed)
	s := newSite(t, part)
	d := newDaemon(t, "erbd", settings, s.yaml())
	d.start()
	s.hostility(30)
	p := newPublisher(t, "nats://"+d.nats, part)
	stop := p.flow(4, rate)
	watched := watch(d)
	ways := map[string]int{}
	draw := newDice(part + " kills")
	for i := range kills {
		time.Sleep(draw.between(pause/20, pause))
		n := 0 // a kill, for once
		if i > 0 {
			n = draw.n(20)
		}
		ways[d.hurt(n, draw, s)]++
	}
	stop()
	s.hostility(5)
	after := d.drained()
	watched()
	report.counts(part, "faults of the daemon", ways)
	report.add(part, "messages that the publisher had to send again", p.again.Load())
	dirty := p.events()

	// The same without kills: the counters move by what came, exactly.
	s.hostility(30)
	stop = p.flow(4, rate)
	time.Sleep(calm)
	stop()
	s.hostility(5)
	final := d.drained()
	all := p.events()
	require.Greater(t, len(all), len(dirty))
	s.balance(after, final, all[len(dirty):])
	report.add(part, "events of the part without kills, counted exactly", len(all)-len(dirty))
	s.verify(d, all)
	d.end(syscall.SIGTERM)
}

// hurt does one of several things to a daemon, by a number below 20, and returns which.
func (d *daemon) hurt(n int, draw *dice, s *site) string {
	switch {
	case n < 12:
		d.end(syscall.SIGKILL)
		d.start()
		return "kill -9"
	case n < 14:
		d.end(syscall.SIGKILL)
		d.launch() // and again while it starts
		time.Sleep(draw.between(0, time.Second))
		d.end(syscall.SIGKILL)
		d.start()
		return "kill -9, and again at the start"
	case n < 16:
		d.end(syscall.SIGTERM)
		d.start()
		return "stop"
	case n < 17:
		d.signal(syscall.SIGTERM)
		time.Sleep(draw.between(0, 500*time.Millisecond))
		d.end(syscall.SIGKILL)
		d.start()
		return "kill -9 while it stops"
	case n < 18:
		d.signal(syscall.SIGSTOP)
		time.Sleep(draw.between(100*time.Millisecond, 4*time.Second))
		d.signal(syscall.SIGCONT)
		return "standstill"
	default:
		r := s.routes[draw.n(3)] // not the one whose events have few attempts
		r.down()
		time.Sleep(draw.between(0, time.Second))
		if draw.chance(0.5) {
			d.end(syscall.SIGKILL)
			d.start()
		}
		r.up()
		return "record store gone for a while"
	}
}

// watch looks at the status of a daemon all the time: whatever happens, each accepted event has one end, and what the
// counters say never goes below zero for longer than a moment.
func watch(d *daemon) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		below := map[string]int{}
		for {
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
			var s status
			if d.get("/status", &s) != nil {
				continue
			}
			for _, b := range s.Backends {
				ends := 0
				for _, n := range b.Ends {
					ends += n
				}
				assert.Equal(d.t, b.Accepted, ends, "each accepted event has one end in %s", b.Name)
			}
			for _, r := range s.Routers {
				if below[r.Name]++; r.Open >= 0 {
					below[r.Name] = 0
				}
				if below[r.Name] == 20 {
					assert.Fail(d.t, "more is settled than was handed over", "%+v", r)
				}
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}
