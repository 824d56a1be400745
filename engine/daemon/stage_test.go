package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/stream"
)

// stored publishes events as messages of their own, which are stored as a whole.
func stored(t *testing.T, d *Daemon, events ...string) {
	t.Helper()
	var raw [][]byte
	for _, e := range events {
		raw = append(raw, []byte(e))
	}
	require.NoError(t, d.pub.PublishTogether(t.Context(), stream.PackEvents(stream.PublishSubject, t.Name(), raw, 1, 0)...))
}

// Events that came one a message go out in company, to every router, and each has its outcome.
func TestSingleEventsTravelTogether(t *testing.T) {
	t.Parallel()
	lrs := newEndpoint(t)
	lrs.answer(func(_ http.ResponseWriter, r *request) int { return statusOf(r.path) })
	s := newSite(t)
	s.route("%s", routersOf(lrs.URL, `"batch": {"enabled": true, "size": 50, "interval": 0.05}, "retry": {"max_retries": 0, "countdown": 0.05}`, "s404", "one", "two"))
	d, _ := s.start()
	const n = 3 * maxItems
	var events []string
	for i := range n {
		events = append(events, played(i+1))
	}
	stored(t, d, events...)
	require.Eventually(t, func() bool { return lrs.unique("one") == n && lrs.unique("two") == n }, 30*time.Second, 10*time.Millisecond)
	st := d.Status(t.Context())
	require.Less(t, st.router(t, "s404").Waiting, uint64(n/2), "messages of several events wait")
	lrs.status(0)
	st = flowed(t, d, n)
	for _, name := range []string{"s404", "one", "two"} {
		require.Equal(t, n, lrs.unique(name), name)
		require.Equal(t, counts{"delivered": n}, counts(st.router(t, name).Settled), name)
	}
}

// A group ends at a gap, so that its id tells all messages that are in it, and where a delivery message is full.
func TestGroups(t *testing.T) {
	t.Parallel()
	server, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: t.TempDir(), Relaxed: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	nc, err := server.Connect("test")
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	str, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	event := func(bytes int) []byte { return fmt.Appendf(nil, "{%s}", strings.Repeat(" ", bytes)) }
	publish := func(data []byte) {
		_, err := js.Publish(t.Context(), "s", data)
		require.NoError(t, err)
	}
	for range 6 {
		publish(event(10))
	}
	require.NoError(t, str.DeleteMsg(t.Context(), 4))
	publish(event(maxBytes / 2))   // 7
	publish(event(maxBytes/2 + 1)) // 8
	publish(event(2 * maxBytes))   // 9
	c, err := str.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	batch, err := c.Fetch(8)
	require.NoError(t, err)
	var msgs []jetstream.Msg
	for m := range batch.Messages() {
		msgs = append(msgs, m)
	}
	require.NoError(t, batch.Error())
	var got []string
	for _, g := range grouped(msgs) {
		got = append(got, fmt.Sprintf("%d+%d", g.metas[0].Sequence.Stream, len(g.msgs)))
	}
	require.Equal(t, []string{"1+3", "5+3", "8+1", "9+1"}, got)
}
