package stream

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBackstopRescuesExhaustedMessages(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	before := r.nc.NumSubscriptions()
	go func() { done <- NewBackstop(r.nc, r.js, r.store, r.tally, Run{}, nil).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	r.eventually(t, func() bool { return r.nc.NumSubscriptions() > before })
	require.NoError(t, r.nc.Flush())
	c, err := r.js.Consumer(t.Context(), OutStream, DeliverDurable("xapi", "lrs"))
	require.NoError(t, err)
	cfg := c.CachedInfo().Config
	cfg.MaxDeliver = 2
	c, err = r.js.UpdateConsumer(t.Context(), OutStream, cfg)
	require.NoError(t, err)
	r.publish(t, "lrs", 4, item("a", 1, true), item("b", 1, false))
	for range 2 {
		b, err := c.Fetch(1)
		require.NoError(t, err)
		for m := range b.Messages() {
			require.NoError(t, m.Nak())
		}
	}
	r.eventually(t, func() bool { // the server notices while somebody asks
		b, err := c.Fetch(1, jetstream.FetchMaxWait(100*time.Millisecond))
		if err == nil {
			for range b.Messages() {
				t.Error("delivered once more than allowed")
			}
		}
		return r.stored(t, OutStream) == 0
	})
	r.eventually(t, func() bool {
		return r.tally.get("lrs kept redelivered") == 1 && r.tally.get("lrs dropped redelivered") == 1
	})
	rec := r.records(t)["a"]
	assert.Equal(t, 2, rec.Attempts)
	assert.JSONEq(t, `{"name":"a"}`, string(rec.Event))
}

func TestBackstopLeavesWhatItCannotKeep(t *testing.T) {
	r := newRig(t, Topology{Routers: lanes("lrs")}, 1)
	b := NewBackstop(r.nc, r.js, r.store, r.tally, Run{}, nil)
	assert.ErrorIs(t, b.rescue(t.Context(), []byte("nonsense")), ErrFrame)
	assert.NoError(t, b.rescue(t.Context(), []byte(`{"stream_seq":99}`)), "gone already")
	r.publish(t, "lrs", 4, item("a", 1, true))
	assert.Error(t, b.rescue(t.Context(), []byte(`{"stream_seq":1}`)), "the bucket is full")
	assert.EqualValues(t, 1, r.stored(t, OutStream))
	_, err := r.js.Publish(t.Context(), OutSubject("xapi", "lrs"), []byte("x"), jetstream.WithMsgID("x"))
	require.NoError(t, err)
	assert.ErrorIs(t, b.rescue(t.Context(), []byte(`{"stream_seq":2}`)), ErrFrame)
	assert.Empty(t, r.tally.all())
}
