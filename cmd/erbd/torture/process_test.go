//go:build unix

package torture

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long anything may take on a busy machine.
const patience = 2 * time.Minute

// process is a program that is started, killed and started again.
type process struct {
	t    *testing.T
	name string
	path string
	args []string
	env  []string
	log  string
	// ready reports whether it serves.
	ready func() bool

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// start starts it and waits until it serves. An address that another program has just taken for a moment is waited
// for.
func (p *process) start() {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for p.launch(); !p.ready(); time.Sleep(10 * time.Millisecond) {
		require.True(p.t, time.Now().Before(deadline), "%s does not get ready:\n%s", p.name, p.tail())
		select {
		case <-p.done:
			require.Contains(p.t, p.tail(), "address already in use", "%s ended", p.name)
			time.Sleep(100 * time.Millisecond)
			p.launch()
		default:
		}
	}
}

func (p *process) launch() {
	p.t.Helper()
	f, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	defer f.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = f, f, append(os.Environ(), p.env...)
	require.NoError(p.t, cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait() //nolint:errcheck // it is killed
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done = cmd, done
}

// signal sends a signal to it.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd.Process.Signal(s) //nolint:errcheck // it has ended
}

// end sends a signal and waits until it has ended.
func (p *process) end(s syscall.Signal) {
	p.t.Helper()
	p.signal(s)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.signal(syscall.SIGKILL)
		require.Fail(p.t, p.name+" does not end", p.tail())
	}
}

// close kills it at the end of the test.
func (p *process) close() {
	if p.cmd == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	if p.t.Failed() {
		p.t.Logf("the log of %s ends with:\n%s", p.name, p.tail())
	}
	if text, err := os.ReadFile(p.log); err == nil && strings.Contains(string(text), "DATA RACE") {
		p.t.Errorf("data race in %s:\n%s", p.name, text)
	}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

func (p *process) tail() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-6000):])
}

// daemon is a process of erbd serve.
type daemon struct {
	process
	dir        string
	http, nats string
}

// newDaemon writes the settings of a daemon. extra is further YAML.
func newDaemon(t *testing.T, name, extra, routers string) *daemon {
	t.Helper()
	d := &daemon{dir: t.TempDir(), http: address(t), nats: address(t)}
	d.write(t, "routers.yaml", routers)
	nats := fmt.Sprintf("nats: {listen: %q, store: data, ack_wait: 2s}\n", d.nats)
	if strings.Contains(extra, "nats:") {
		nats = ""
	}
	d.write(t, "erbd.yaml", nats+fmt.Sprintf("http: {listen: %q}\nrouters: routers.yaml\n", d.http)+extra)
	d.process = process{
		t: t, name: name, path: binary(t), args: []string{"serve", "--config", d.config()}, log: filepath.Join(d.dir, "log"),
		ready: func() bool { return d.get("/readyz", nil) == nil },
	}
	t.Cleanup(d.close)
	return d
}

func (d *daemon) config() string { return filepath.Join(d.dir, "erbd.yaml") }

func (d *daemon) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600))
}

// run runs another command of erbd with the same settings and returns what it prints.
func (d *daemon) run(args ...string) string {
	d.t.Helper()
	cmd := exec.Command(d.path, append(args, "--config", d.config())...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(d.t, err, "%v: %s", args, errs.String())
	return string(out)
}

var client = &http.Client{Timeout: 10 * time.Second}

// get reads JSON.
func (d *daemon) get(path string, into any) error {
	resp, err := client.Get("http://" + d.http + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// status is what GET /status shows.
type status struct {
	Backends []struct {
		Name     string
		Waiting  int
		Accepted int
		Ends     map[string]int
	}
	Routers []struct {
		Backend, Name                  string
		Waiting, Routed, Carried, Open int
		Settled                        map[string]int
	}
	Failed, Aside int
	Agree         bool
}

// waiting is the number of messages that wait for anything.
func (s *status) waiting() (n int) {
	for _, b := range s.Backends {
		n += b.Waiting
	}
	for _, r := range s.Routers {
		n += r.Waiting
	}
	return n
}

// drained waits until nothing waits in a daemon any more, however long, as long as it gets less.
func (d *daemon) drained() (s status) {
	d.t.Helper()
	least, since := -1, time.Now()
	for ; ; time.Sleep(200 * time.Millisecond) {
		before := s // it is counted a moment after it is acknowledged
		s = status{}
		if err := d.get("/status", &s); err == nil && len(s.Backends) > 0 {
			waiting := s.waiting()
			if waiting == 0 && s.Agree && reflect.DeepEqual(before, s) {
				return s
			}
			if least < 0 || waiting < least {
				least, since = waiting, time.Now()
			}
		}
		require.Less(d.t, time.Since(since), patience, "events are left, or the counters do not agree: %+v", &s)
	}
}

var (
	ports     sync.Mutex
	portsUsed = map[int]bool{}
)

// address returns one where nobody listens, outside of the range that the system gives to clients: between two runs of
// a process nobody shall take it.
func address(t *testing.T) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for port := 20000 + os.Getpid()%10000; port < 32000; port++ {
		if portsUsed[port] {
			continue
		}
		portsUsed[port] = true
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		require.NoError(t, l.Close())
		return l.Addr().String()
	}
	require.Fail(t, "no address is free")
	return ""
}
