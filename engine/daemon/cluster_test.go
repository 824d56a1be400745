package daemon

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/stream"
)

// cluster is three message servers in this process, with replicated streams.
type cluster struct {
	t       *testing.T
	servers []*server.Server
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	// Each server has to know the routes to all, so their ports have to be known first.
	var routes []*url.URL
	var held []net.Listener
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		held = append(held, l)
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: l.Addr().String()})
	}
	for _, l := range held {
		require.NoError(t, l.Close())
	}
	c := &cluster{t: t}
	for i := range routes {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true,
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprint(i)), JetStreamMaxStore: 32 << 30, JetStreamMaxMemory: 64 << 20,
			Cluster: server.ClusterOpts{Name: "erbd", Host: "127.0.0.1", Port: held[i].Addr().(*net.TCPAddr).Port},
			Routes:  routes,
		})
		require.NoError(t, err)
		c.servers = append(c.servers, s)
		t.Cleanup(func() { c.shut(s) })
		s.Start()
	}
	for _, s := range c.servers {
		require.True(t, s.ReadyForConnections(20*time.Second))
	}
	require.Eventually(t, func() bool {
		leaders := 0
		for _, s := range c.servers {
			if !s.JetStreamIsCurrent() {
				return false
			}
			if s.JetStreamIsLeader() {
				leaders++
			}
		}
		return leaders == 1
	}, 30*time.Second, 20*time.Millisecond, "the cluster has no leader")
	return c
}

func (c *cluster) shut(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// url is the addresses of all servers.
func (c *cluster) url() string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.ClientURL())
	}
	return strings.Join(all, ",")
}

// leader returns the server that leads a stream.
func (c *cluster) leader(js jetstream.JetStream, name string) *server.Server {
	c.t.Helper()
	var found *server.Server
	require.Eventually(c.t, func() bool {
		s, err := js.Stream(c.t.Context(), name)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		for _, one := range c.servers {
			if one.Name() == s.CachedInfo().Cluster.Leader {
				found = one
			}
		}
		return found != nil
	}, 20*time.Second, 50*time.Millisecond, "stream %s has no leader", name)
	return found
}

// TestClusterLosesNothing: two daemons on a cluster share the work; the loss of the server that leads the delivery
// stream, and then of one daemon, costs no event.
func TestClusterLosesNothing(t *testing.T) {
	c := newCluster(t)
	lrs := newRecordStore(t)
	lrs.answerWith(func([]byte) int {
		time.Sleep(20 * time.Millisecond) // so that the work lasts
		return 200
	})
	s := newSite(t, "nats.url="+c.url(), "nats.replicas=3")
	s.route(`{"xapi": [{"name": "lrs", "url": %q, "batch": {"enabled": true, "size": 10, "interval": 0.1}}]}`, lrs.URL)
	first, stopFirst := s.start()
	second, _ := s.start()

	nc, err := nats.Connect(c.url(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	require.NoError(t, err)

	const batch, batches = 50, 60
	published := 0
	// send publishes until the cluster has all of it.
	send := func() {
		t.Helper()
		var msgs []stream.Message
		for range batch {
			published++
			msgs = append(msgs, stream.Message{Subject: stream.PublishSubject, ID: fmt.Sprint("test.", published), Data: []byte(enrollment(published))})
		}
		p := stream.NewPublisher(nc, js, first.features, true)
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := p.Publish(ctx, msgs...)
			if err != nil {
				t.Logf("publish again: %v", err)
			}
			return err == nil
		}, 60*time.Second, 50*time.Millisecond, "the cluster does not take events")
	}
	delivered := func(d *Daemon) uint64 { return d.ledger.counts("xapi", "lrs").Settled["delivered"] }
	for range batches / 3 {
		send()
	}
	require.Eventually(t, func() bool { return delivered(first) > 0 && delivered(second) > 0 }, 30*time.Second, 20*time.Millisecond,
		"the daemons do not share the work")

	gone := c.leader(js, stream.OutStream)
	down := make(chan struct{})
	go func() { defer close(down); c.shut(gone) }()
	for range batches / 3 {
		send()
	}
	<-down
	at := delivered(first) + delivered(second)
	for range batches / 6 {
		send()
	}
	require.Eventually(t, func() bool { return delivered(first)+delivered(second) > at }, 60*time.Second, 20*time.Millisecond,
		"nothing is delivered after the loss of a server")

	stopFirst()
	for range batches / 6 {
		send()
	}
	require.Eventually(t, func() bool { return lrs.unique() == published }, 60*time.Second, 50*time.Millisecond, "events are lost")
	require.Eventually(t, func() bool {
		st := second.Status(t.Context())
		return len(st.Routers) == 1 && st.Routers[0].Waiting == 0 && st.Backends[0].Waiting == 0
	}, 60*time.Second, 50*time.Millisecond, "messages are left")
	st := second.Status(t.Context())
	require.Zero(t, st.Failed)
	require.True(t, st.Agree, "%+v", st)
}
