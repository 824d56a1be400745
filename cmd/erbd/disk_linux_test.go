package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/daemon"
	"github.com/erbd/erbd/engine/store"
	"github.com/erbd/erbd/engine/store/smalldisk"
)

// process is a daemon in a process of its own, so that it can be killed.
type process struct {
	*serving
	program    string
	nats, http string
	cmd        *exec.Cmd
	log        *lines
}

func newProcess(t *testing.T, storeDir, lrsURL string) *process {
	p := &process{serving: newServing(t), log: &lines{t: t}}
	for name, text := range files(1, "xapi: [{name: lrs, url: '"+lrsURL+"/a', batch: {enabled: true, size: 20, interval: 100ms}, retry: {countdown: 100ms, max_retries: 1000}}]\n") {
		p.write(name, text)
	}
	p.nats, p.http = freeAddress(t), freeAddress(t)
	p.write("erbd.yaml", fmt.Sprintf("nats: {store: '%s', listen: '%s', ack_wait: 2s}\nhttp: {listen: '%s'}\nmappings: mappings\nfilters: filters\nrouters: routers.yaml\n"+
		"lookup: {path: lms.json, unknown_users: pseudonym}\nxapi: {names: [play]}\nstate: 'off'\n", storeDir, p.nats, p.http))
	p.program = p.path("erbd")
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, p.program))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return p
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// run starts the daemon and waits until it answers.
func (p *process) run() {
	p.t.Helper()
	p.cmd = exec.CommandContext(p.t.Context(), p.program, "serve", "--config", p.path("erbd.yaml"))
	p.cmd.Stderr = p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(p.t, p.cmd.Start())
	p.until("it answers", func() bool {
		out, err := ask(http.MethodGet, "http://"+p.http+"/healthz", nil)
		return err == nil && strings.HasPrefix(string(out), "200")
	})
}

// end sends a signal and waits for the end.
func (p *process) end(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
	p.cmd.Wait() //nolint:errcheck // a killed process has no good end
}

func (p *process) get(path string) string {
	out, err := ask(http.MethodGet, "http://"+p.http+path, nil)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func (p *process) status() (s daemon.Status) {
	_, body, _ := strings.Cut(p.get("/status"), "\n")
	if json.Unmarshal([]byte(body), &s) != nil || s.Store == nil {
		s.Store = &store.Status{}
	}
	return s
}

// publish publishes an event under its own id and reports whether it was acknowledged.
func (p *process) publish(js jetstream.JetStream, n int) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Second)
	defer cancel()
	event := strings.TrimSuffix(play(n), "}}") + `,"more":"` + strings.Repeat("x", 20<<10) + `"}}`
	_, err := js.Publish(ctx, "erb.raw.lms", []byte(event), jetstream.WithMsgID(fmt.Sprint("e", n)))
	return err
}

func (p *process) connect() jetstream.JetStream {
	p.t.Helper()
	nc, err := nats.Connect("nats://"+p.nats, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(p.t, err)
	p.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(p.t, err)
	return js
}

// TestDiskFull fills the disk of a daemon: it says so everywhere, refuses events with a reason, goes on by itself when
// there is room again, and loses nothing, not even when it is killed meanwhile.
func TestDiskFull(t *testing.T) {
	if !smalldisk.Inside(t) {
		return
	}
	for _, kill := range []bool{false, true} {
		t.Run(map[bool]string{false: "it goes on", true: "it is killed"}[kill], func(t *testing.T) {
			lrs := newLRS(t)
			lrs.down.Store(true) // so that the disk fills
			disk := smalldisk.Mount(t, 32<<20)
			p := newProcess(t, filepath.Join(disk.Dir, "data"), lrs.URL)
			p.run()
			js := p.connect()
			acked, n := map[int]bool{}, 0
			publish := func() error {
				n++
				err := p.publish(js, n)
				if err == nil {
					acked[n] = true
				}
				return err
			}
			for range 20 {
				require.NoError(t, publish())
			}
			disk.Fill(64 << 10)
			p.until("a refusal", func() bool { return publish() != nil })
			p.until("it is down", func() bool { return p.status().Store.State != store.OK })
			disk.Fill(0)
			p.until("refusals with a reason", func() bool {
				err := publish()
				return err != nil && strings.Contains(err.Error(), "API error")
			})
			ready := p.get("/readyz")
			assert.Contains(t, ready, "503 ")
			assert.Regexp(t, `"store":".*(nearly full|no space left on device)`, ready)
			assert.Contains(t, p.get("/metrics"), "\nerb_store_accepting 0\n")
			code, out, _ := erbd(t.Context(), nil, "status", "--config", p.path("erbd.yaml"))
			assert.Zero(t, code)
			assert.Regexp(t, "(?m)^not ready since .*\n(.*\n)?no event is accepted since .*: .*(nearly full|no space left on device)", out)
			if kill {
				p.end(syscall.SIGKILL)
				disk.Empty()
				p.run()
			} else {
				disk.Empty()
			}
			lrs.down.Store(false)
			p.until("it is ready again", func() bool { return p.status().Ready })
			for i := range n { // what was refused is accepted now, under the same ids
				if !acked[i+1] {
					p.until("published again", func() bool { return p.publish(js, i+1) == nil })
				}
			}
			p.until("every event is delivered", func() bool { unique, _ := lrs.count("a"); return unique >= n })
			unique, _ := lrs.count("a")
			assert.Equal(t, n, unique)
			assert.Contains(t, p.get("/metrics"), "\nerb_store_accepting 1\n")
			p.end(syscall.SIGTERM)
			assert.Less(t, strings.Count(p.log.String(), "\n"), 80, "no flood")
		})
	}
}

// TestStoreCannotBeWritten starts on a full disk, and on a read-only one.
func TestStoreCannotBeWritten(t *testing.T) {
	if !smalldisk.Inside(t) {
		return
	}
	disk := smalldisk.Mount(t, 16<<20)
	p := newProcess(t, filepath.Join(disk.Dir, "data"), "http://127.0.0.1:9")
	for want, fault := range map[string]func(on bool){
		"no space left on device": func(on bool) {
			if on {
				disk.Fill(0)
			} else {
				disk.Empty()
			}
		},
		"read-only file system": disk.ReadOnly,
	} {
		fault(true)
		code, _, stderr := erbd(t.Context(), nil, "serve", "--config", p.path("erbd.yaml"))
		assert.NotZero(t, code)
		assert.Contains(t, stderr, "erbd: error: the store cannot be written: ")
		assert.Contains(t, stderr, want)
		assert.Contains(t, stderr, "\nhint: make room on the disk of nats.store")
		fault(false)
	}
	p.run()
	other := exec.Command(p.program, "serve", "--config", p.path("erbd.yaml"), "--nats.listen", "127.0.0.1:0", "--http.listen", "off")
	out, err := other.CombinedOutput()
	assert.Error(t, err, "two daemons on one store")
	assert.Contains(t, string(out), fmt.Sprintf("is held by process %d", p.cmd.Process.Pid))
	p.end(syscall.SIGKILL)
	p.run() // a lock file whose owner is dead holds nobody off
	p.end(syscall.SIGTERM)
}
