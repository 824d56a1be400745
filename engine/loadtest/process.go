package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errDied: the daemon ended by itself.
var errDied = errors.New("the daemon ended")

// startTimeout is how long a daemon may take to be ready: with a large store it reads for a while.
const startTimeout = 5 * time.Minute

// process is a daemon that runs.
type process struct {
	cmd   *exec.Cmd
	died  chan struct{} // closed when it has ended
	err   error         // why, after died
	last  string        // the last error that it logged
	nats  string
	http  string
	start time.Duration
}

// start runs "erbd serve" with a file of settings until stop or the end of ctx, and returns when it is ready.
func start(ctx context.Context, program, settings string, env []string) (*process, error) {
	began := time.Now()
	p := &process{cmd: exec.CommandContext(ctx, program, "serve", "--config", settings), died: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 30 * time.Second
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a daemon: %w", err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(p.died)
		p.read(log, ready)
		p.err = p.cmd.Wait()
	}()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-ready:
		p.start = time.Since(began)
		return p, nil
	case <-p.died:
		return nil, p.failure()
	case <-timeout.C:
		_ = p.cmd.Process.Kill()
		<-p.died
		return nil, fmt.Errorf("the daemon was not ready within %s: %w", startTimeout, p.failure())
	}
}

// read follows the log, closes ready when the daemon is, and returns at its end.
func (p *process) read(log io.Reader, ready chan struct{}) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Level, Msg, NATS, HTTP string
			Error                  string
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			if text, ok := strings.CutPrefix(lines.Text(), "erbd: error: "); ok {
				p.last = text
			}
			continue
		}
		switch {
		case line.HTTP != "" && p.http == "":
			p.nats, p.http = line.NATS, line.HTTP
			close(ready)
		case line.Level == "ERROR":
			p.last = strings.TrimSpace(line.Msg + " " + line.Error)
		}
	}
	_, _ = io.Copy(io.Discard, log) // a line that is too long must not stop the daemon
}

// failure says why the daemon has ended; p.died is closed.
func (p *process) failure() error {
	switch {
	case p.last != "":
		return fmt.Errorf("%w: %s", errDied, p.last)
	case p.err != nil:
		return fmt.Errorf("%w: %w", errDied, p.err)
	}
	return errDied
}

// stop lets the daemon drain and waits for its end. It returns nil after a good end; stopping twice is fine.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.cmd.Process.Kill()
	}
	<-p.died
	if p.err != nil {
		return p.failure()
	}
	return nil
}

// usage is what the daemon has used so far.
type usage struct {
	cpu      float64 // seconds
	resident int64   // bytes, 0: not known
}

// usage asks the daemon's metrics, which work on every system.
func (p *process) usage(ctx context.Context) (usage, error) {
	body, err := p.get(ctx, "/metrics")
	if err != nil {
		return usage{}, err
	}
	var u usage
	for line := range strings.Lines(string(body)) {
		name, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if v, err := strconv.ParseFloat(number, 64); err == nil {
			switch name {
			case "process_cpu_seconds_total":
				u.cpu = v
			case "process_resident_memory_bytes":
				u.resident = int64(v)
			}
		}
	}
	return u, nil
}

// settled waits until nothing waits in the daemon.
func (p *process) settled(ctx context.Context) error { return p.until(ctx, true) }

// transformed waits until nothing waits for the transformation.
func (p *process) transformed(ctx context.Context) error { return p.until(ctx, false) }

func (p *process) until(ctx context.Context, delivered bool) error {
	for {
		waiting, err := p.waiting(ctx, delivered)
		if err != nil || waiting == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.died:
			return p.failure()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// state is what the daemon says of itself.
type state struct {
	Agree    bool
	Backends []struct{ Waiting uint64 }
	Routers  []struct {
		Waiting uint64
		Settled map[string]uint64
	}
}

func (p *process) state(ctx context.Context) (s state, err error) {
	body, err := p.get(ctx, "/status")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("ask the daemon: %w", err)
	}
	return s, nil
}

// waiting is the number of messages that wait in the daemon, with or without those that wait for routers.
func (p *process) waiting(ctx context.Context, routers bool) (n uint64, err error) {
	s, err := p.state(ctx)
	for _, b := range s.Backends {
		n += b.Waiting
	}
	for _, r := range s.Routers {
		if routers {
			n += r.Waiting
		}
	}
	return n, err
}

// errCounts: the daemon counts other events than it got.
var errCounts = errors.New("the daemon's counters do not agree with what was published")

// check sees that the daemon has delivered so many events, each once, and nothing else.
func (p *process) check(ctx context.Context, events uint64) error {
	s, err := p.state(ctx)
	if err != nil {
		return err
	}
	delivered := uint64(0)
	for _, r := range s.Routers {
		delivered += r.Settled["delivered"]
	}
	if !s.Agree || delivered != events {
		return fmt.Errorf("%w: %d of %d delivered", errCounts, delivered, events)
	}
	return nil
}

func (p *process) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.http+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	return body, nil
}
