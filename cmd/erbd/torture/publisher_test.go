//go:build unix

package torture

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/stream"
)

// publisher publishes events until the server has acknowledged them, whatever happens to the server.
type publisher struct {
	t    *testing.T
	dice *dice
	nc   *nats.Conn
	js   jetstream.JetStream

	mu    sync.Mutex
	acked []*known
	made  int
	again atomic.Int64 // messages that had to be sent again
}

func newPublisher(t *testing.T, url, part string) *publisher {
	t.Helper()
	nc, err := nats.Connect(url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // its errors are the test
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return &publisher{t: t, dice: newDice(part), nc: nc, js: js}
}

// publish publishes one message of some events, in one of the ways in which they can come, and returns when the server
// has acknowledged it.
func (p *publisher) publish(ctx context.Context) {
	p.mu.Lock()
	events := make([]*known, 1+p.dice.n(40)*p.dice.n(2))
	texts := make([][]byte, len(events))
	for i := range events {
		p.made++
		events[i] = draw(p.dice, p.made)
		texts[i] = []byte(events[i].text)
	}
	id := fmt.Sprintf("torture.%d", p.made)
	p.mu.Unlock()
	var msgs []stream.Message
	switch form := p.dice.n(3); {
	case form == 0 && !holds(events, "invalid"): // a list with one that is cut short is no list
		all := make([]string, len(texts))
		for i := range texts {
			all[i] = string(texts[i])
		}
		msgs = []stream.Message{{Subject: "erb.raw.lms", ID: id, Data: []byte("[" + strings.Join(all, ",") + "]")}}
	case form == 1 && len(events) == 1:
		msgs = []stream.Message{{Subject: "erb.raw.lms", ID: id, Data: texts[0]}}
	default:
		msgs = stream.PackEvents("erb.raw.packed", id, texts, 0, 0)
	}
	for _, m := range msgs {
		p.send(ctx, m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = append(p.acked, events...)
}

func holds(events []*known, kind string) bool {
	for _, e := range events {
		if e.kind.name == kind {
			return true
		}
	}
	return false
}

func (p *publisher) send(ctx context.Context, m stream.Message) {
	for try := 0; ; try++ {
		msg := &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Data}
		for k, v := range m.Header {
			msg.Header[k] = v
		}
		msg.Header.Set(nats.MsgIdHdr, m.ID)
		one, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := p.js.PublishMsg(one, msg, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			p.t.Errorf("an event could not be published in time: %v", err)
			return
		}
		p.again.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
}

// flow publishes all the time, at most so many messages a second, until stop is called.
func (p *publisher) flow(senders, rate int) (stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), patience+2**length+10*time.Minute)
	quit := make(chan struct{})
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	for range senders {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				case <-tick.C:
					p.publish(ctx)
				}
			}
		})
	}
	return func() {
		close(quit)
		wg.Wait()
		tick.Stop()
		cancel()
	}
}

// events are those that are acknowledged.
func (p *publisher) events() []*known {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*known(nil), p.acked...)
}
