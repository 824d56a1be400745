package daemon

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A request that hangs does not hold up the reload that changes its router. What is in it is not sent again, and all
// else goes where the router points now.
func TestReloadDoesNotWaitForRequests(t *testing.T) {
	first, second := newRecordStore(t), newRecordStore(t)
	entered, release := make(chan struct{}, 1), make(chan struct{})
	first.answerWith(func([]byte) int {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-release
		return http.StatusOK
	})
	s := newSite(t)
	const router = `{"xapi": [{"name": "lrs", "url": %q, "requests": 1, "batch": {"enabled": true, "size": %d, "interval": 0.1}, "retry": {"max_retries": %d}}]}`
	s.route(router, first.URL, 5, 1)
	d, _ := s.start()
	publish(t, d, enrollment(1))
	<-entered
	s.route(router, second.URL, 7, 2)
	require.NoError(t, d.Reload(t.Context()))
	require.Zero(t, first.unique(), "the request is under way")
	for i := 2; i <= 20; i++ {
		publish(t, d, enrollment(i))
	}
	close(release)
	st := settled(t, d, 20)
	require.Equal(t, map[string]uint64{"delivered": 20}, st.Routers[0].Settled)
	require.Equal(t, 20, first.unique()+second.unique())
	require.Equal(t, 1, first.unique())
	for _, store := range []*recordStore{first, second} {
		for id, n := range store.ids {
			require.Equal(t, 1, n, id)
		}
	}
}

// A pause of a router ends with the change that mends it, also where nothing waits.
func TestPauseEndsWithChange(t *testing.T) {
	bad, good := newRecordStore(t), newRecordStore(t)
	bad.answerWith(func([]byte) int { return http.StatusNotFound })
	s := newSite(t)
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, bad.URL)
	d, _ := s.start()
	publish(t, d, enrollment(1))
	paused := func() bool { return d.ledger.counts("xapi", "lrs").Paused != "" }
	require.Eventually(t, paused, 20*time.Second, 10*time.Millisecond)
	s.route(`{"xapi": [{"name": "lrs", "url": %q}]}`, good.URL)
	require.NoError(t, d.Reload(t.Context()))
	settled(t, d, 1)
	require.Equal(t, 1, good.unique())
	require.False(t, paused())
}

// After the end there is no reload any more.
func TestNoReloadAfterStop(t *testing.T) {
	s := newSite(t)
	s.route(`{}`)
	d, stop := s.start()
	require.Eventually(t, d.ready.Load, 20*time.Second, 10*time.Millisecond)
	stop()
	require.ErrorIs(t, d.Reload(t.Context()), ErrStopped)
}
