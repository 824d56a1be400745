//go:build unix

package torture

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCluster kills and stops, one after the other, servers of a cluster and the daemons that share the work, while events
// flow and record stores fail. Nothing is lost, and everything is where it belongs.
func TestCluster(t *testing.T) {
	if !*full {
		t.Skip("it takes minutes: make torture runs it; engine/daemon has a short one within one process")
	}
	const part = "cluster: three servers, two daemons, each killed and stopped"
	t.Logf("seed %d", *seed)
	c := newCluster(t)
	s := newSite(t, part)
	var daemons []*daemon
	for i := range 2 {
		daemons = append(daemons, newDaemon(t, fmt.Sprintf("erbd %d", i), fmt.Sprintf("nats: {url: %q, replicas: 3, ack_wait: 3s}\n", c.url)+settings, s.yaml()))
	}
	for _, d := range daemons {
		d.startWith(t)
	}
	s.hostility(10)
	p := newPublisher(t, c.url, part)
	stop := p.flow(4, 30)
	draw := newDice(part + " faults")
	ways := map[string]int{}
	for end := time.Now().Add(*length); time.Now().Before(end); {
		time.Sleep(draw.between(500*time.Millisecond, 4*time.Second))
		at, d := draw.n(len(c.servers)), one(draw, daemons)
		server := c.servers[at]
		switch draw.n(7) {
		case 0:
			server.end(syscall.SIGKILL)
			time.Sleep(draw.between(0, 3*time.Second))
			server.start()
			ways["server: kill -9"]++
		case 1:
			server.end(syscall.SIGTERM)
			time.Sleep(draw.between(0, 3*time.Second))
			server.start()
			ways["server: stop"]++
		case 2:
			server.signal(syscall.SIGSTOP)
			time.Sleep(draw.between(100*time.Millisecond, 8*time.Second))
			server.signal(syscall.SIGCONT)
			ways["server: standstill"]++
		case 3:
			d.end(syscall.SIGKILL)
			time.Sleep(draw.between(0, time.Second))
			d.startWith(t)
			ways["daemon: kill -9"]++
		case 4:
			d.end(syscall.SIGTERM)
			d.startWith(t)
			ways["daemon: stop"]++
		case 5:
			other := c.servers[(at+1)%len(c.servers)] // without a majority nothing is acknowledged
			server.signal(syscall.SIGSTOP)
			other.end(syscall.SIGKILL)
			time.Sleep(draw.between(0, 3*time.Second))
			server.signal(syscall.SIGCONT)
			other.start()
			ways["two servers: kill -9 and standstill"]++
		default:
			d.signal(syscall.SIGSTOP)
			time.Sleep(draw.between(100*time.Millisecond, 8*time.Second))
			d.signal(syscall.SIGCONT)
			ways["daemon: standstill"]++
		}
	}
	stop()
	for _, d := range daemons {
		d.drained()
	}
	report.counts(part, "faults of servers and daemons", ways)
	report.add(part, "messages that the publisher had to send again", p.again.Load())
	s.verify(daemons[0], p.events())
	for _, d := range daemons {
		d.end(syscall.SIGTERM)
	}
}

// startWith starts a daemon that needs a cluster: where that has no leader at the moment, the daemon ends, as it says,
// and a service manager starts it again.
func (d *daemon) startWith(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		d.launch()
		for !d.ready() {
			select {
			case <-d.done:
			case <-time.After(20 * time.Millisecond):
				continue
			}
			break
		}
		if d.ready() {
			return
		}
		require.True(t, time.Now().Before(deadline), "%s does not get ready:\n%s", d.name, d.tail())
	}
}
