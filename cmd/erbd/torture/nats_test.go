//go:build unix

package torture

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// serverVariable makes this program a NATS server: its value is a natsServer as JSON.
const serverVariable = "ERBD_TORTURE_NATS"

// natsServer is one server of a cluster, a process of its own.
type natsServer struct {
	Name, Store, Listen, Cluster string
	Routes                       []string
}

// serveNATS is the main function of such a process.
func serveNATS(text string) int {
	var s natsServer
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	o := &server.Options{
		ServerName: s.Name, NoSigs: true, JetStream: true, StoreDir: s.Store, JetStreamMaxStore: 32 << 30, JetStreamMaxMemory: 64 << 20,
		Cluster: server.ClusterOpts{Name: "torture"},
	}
	o.Host, o.Port = hostPort(s.Listen)
	o.Cluster.Host, o.Cluster.Port = hostPort(s.Cluster)
	for _, r := range s.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: r})
	}
	ns, err := server.NewServer(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ns.ConfigureLogger()
	ns.Start()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	ns.Shutdown()
	ns.WaitForShutdown()
	return 0
}

func hostPort(address string) (string, int) {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return host, n
}

// cluster is three message servers.
type cluster struct {
	servers []*process
	url     string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	var clients, routes []string
	for range 3 {
		clients, routes = append(clients, address(t)), append(routes, address(t))
	}
	c := &cluster{url: "nats://" + strings.Join(clients, ",nats://")}
	dir := t.TempDir()
	for i := range clients {
		name := fmt.Sprintf("n%d", i)
		text, err := json.Marshal(natsServer{Name: name, Store: filepath.Join(dir, name), Listen: clients[i], Cluster: routes[i], Routes: routes})
		require.NoError(t, err)
		p := &process{
			t: t, name: "server " + name, path: self, env: []string{serverVariable + "=" + string(text)}, log: filepath.Join(dir, name+".log"),
			ready: func() bool {
				conn, err := net.DialTimeout("tcp", clients[i], time.Second)
				if err != nil {
					return false
				}
				conn.Close() //nolint:errcheck // it was only a question
				return true
			},
		}
		t.Cleanup(p.close)
		c.servers = append(c.servers, p)
		p.launch()
	}
	for i := range c.servers {
		require.Eventually(t, c.servers[i].ready, patience, 20*time.Millisecond, "server %d does not get ready", i)
	}
	return c
}
