package stream

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// begin makes what the rig publishes and works on from now on that of another run.
func (r *rig) begin(t *testing.T) {
	t.Helper()
	run, err := BeginRun(t.Context(), r.js)
	require.NoError(t, err)
	r.pub = NewPublisher(r.nc, r.js, r.features, false)
	r.pub.Run = run
	r.tally = &tally{}
}

// What an earlier run left is carried over, event by event: with its end, or when it becomes a message of this run.
func TestEventsOfAnEarlierRunAreCarried(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	r.begin(t)
	r.publish(t, "lrs", 4, many(10, true)...) // messages of 4, 4 and 2
	first := r.tally
	l := newLRS(t, refuse(503, "e001-0", "e005-0"))
	r.begin(t)
	r.publish(t, "lrs", 0, item("own", 1, false))
	r.start(t, "lrs", l.URL, func(c *WorkerConfig) { c.Batch, c.MaxRetries = 1, 1 })
	r.drained(t)
	r.eventually(t, func() bool { return r.tally.get("lrs delivered")+r.tally.get("lrs kept http_503") == 11 })
	assert.Equal(t, map[string]int{"lrs carried": 10, "lrs delivered": 9, "lrs retried http_503": 2, "lrs kept http_503": 2}, r.tally.all())
	assert.Empty(t, first.all())
	assert.Len(t, r.records(t), 2)
}

// takeApart does with the first message what a worker does whose acknowledgement then is lost: one of its events is
// stored as a message of its own.
func (r *rig) takeApart(t *testing.T, w *Worker, event int) {
	t.Helper()
	c, err := r.js.Consumer(t.Context(), OutStream, DeliverDurable("xapi", "lrs"))
	require.NoError(t, err)
	m, err := c.Next()
	require.NoError(t, err)
	p := w.open(t.Context(), m)
	require.NoError(t, w.republish(t.Context(), p, []part{{event, p.items[event].Item}}, 1, time.Time{}))
	require.EqualValues(t, 2, r.stored(t, OutStream))
}

func quickLane(router string) Topology {
	return Topology{Routers: []Lane{{Backend: "xapi", Router: router, AckWait: time.Second, MaxRetries: 1000}}}
}

func quick(c *WorkerConfig) { c.Batch, c.MaxRetries, c.AckWait = 1, 1000, time.Second }

// A crash between the storing of a part and the acknowledgement of its message leaves both. What the earlier run took
// apart is counted with the part, not again with what is left of the message.
func TestPartsOfAnEarlierRun(t *testing.T) {
	r := newRig(t, quickLane("lrs"), 0)
	r.begin(t)
	r.publish(t, "lrs", 0, many(4, false)...)
	var up atomic.Bool
	l := newLRS(t, func(ids []string, _ http.Header) int {
		if ids[0] == "e001-0" && !up.Load() {
			return 503
		}
		return 200
	})
	r.takeApart(t, r.worker(t, "lrs", l.URL, quick), 1)

	r.begin(t)
	r.start(t, "lrs", l.URL, quick)
	settled := func() int { return r.tally.get("lrs delivered") + r.tally.get("lrs duplicate") }
	r.eventually(t, func() bool { return settled() == 3 && r.stored(t, OutStream) == 1 })
	assert.Equal(t, 3, r.tally.get("lrs carried"))
	up.Store(true)
	r.drained(t)
	r.eventually(t, func() bool { return settled() == 4 })
	assert.Equal(t, 4, r.tally.get("lrs carried"))
	assert.Len(t, l.taken, 4)
}

// A message that could not be acknowledged comes again without the events that are messages of their own.
func TestPartsAreNotSentTwice(t *testing.T) {
	r := newRig(t, quickLane("lrs"), 0)
	r.begin(t)
	r.publish(t, "lrs", 0, many(4, false)...)
	l := newLRS(t, nil)
	w := r.worker(t, "lrs", l.URL, quick)
	r.takeApart(t, w, 1)
	stop := r.run(t, w)
	r.drained(t)
	stop()
	assert.Equal(t, 4, r.tally.get("lrs delivered")+r.tally.get("lrs duplicate"), "each event has one end")
	assert.Zero(t, r.tally.get("lrs carried"))
	assert.Len(t, l.taken, 4)
	assert.Empty(t, w.apart.items)
}

// A message that is handed out twice, since the process stood still for longer than AckWait, is counted once.
func TestEventsOfAMessageThatComesTwice(t *testing.T) {
	r := newRig(t, quickLane("lrs"), 0)
	r.begin(t)
	r.publish(t, "lrs", 0, many(4, false)...)
	l := newLRS(t, nil)
	w := r.worker(t, "lrs", l.URL, quick)
	c, err := r.js.Consumer(t.Context(), OutStream, DeliverDurable("xapi", "lrs"))
	require.NoError(t, err)
	var twice []jetstream.Msg
	for range 2 {
		m, err := c.Next()
		require.NoError(t, err)
		twice = append(twice, m)
	}
	for _, m := range twice {
		w.handle(t.Context(), t.Context(), []jetstream.Msg{m})
		w.settled(t.Context(), t.Context())
	}
	r.drained(t)
	assert.Equal(t, map[string]int{"lrs delivered": 4}, r.tally.all())
}
