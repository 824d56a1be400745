package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/erbd/erbd/engine/workload"
)

// receiver is a record store that notes when each event arrived at each router. It looks at nothing but the timestamps
// of statements, so that it costs little.
type receiver struct {
	address string
	server  *http.Server
	served  chan error

	mu      sync.Mutex
	at      [][]int64 // router → event → Unix nanoseconds of its first arrival, 0 before
	missing int
	strange int // statements that are of no event of the run
	last    time.Time
	first   uint64 // number of the first event
	done    chan struct{}
}

// newReceiver reserves an address and does not listen yet.
func newReceiver(ctx context.Context) (*receiver, error) {
	r := &receiver{}
	return r, r.listen(ctx, "127.0.0.1:0")
}

func (r *receiver) listen(ctx context.Context, address string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	r.address = l.Addr().String()
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	r.served = make(chan error, 1)
	go func() { r.served <- r.server.Serve(l) }()
	return nil
}

// close stops listening; open listens again at the same address.
func (r *receiver) close() {
	_ = r.server.Close()
	<-r.served
}

func (r *receiver) open(ctx context.Context) error { return r.listen(ctx, r.address) }

func (r *receiver) url(router int) string {
	return "http://" + r.address + "/" + strconv.Itoa(router) + "/xAPI"
}

// expect begins a part: so many events from a number on, at each of the routers.
func (r *receiver) expect(routers int, first uint64, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = make([][]int64, routers)
	for i := range r.at {
		r.at[i] = make([]int64, events)
	}
	r.first, r.missing, r.done = first, routers*events, make(chan struct{})
	r.last = time.Now()
}

var errStuck = errors.New("no statement arrives any more")

// patience is how long nothing may arrive.
const patience = time.Minute

// wait returns when all that is expected is here.
func (r *receiver) wait(ctx context.Context, died <-chan struct{}) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-died:
			return errDied
		case <-tick.C:
			r.mu.Lock()
			last, missing, strange := r.last, r.missing, r.strange
			r.mu.Unlock()
			if time.Since(last) > patience {
				return fmt.Errorf("%w: %d are missing, %d were of no event of this run", errStuck, missing, strange)
			}
		}
	}
}

var timestamp = []byte(`"timestamp":"`)

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body bytes.Buffer
	body.Grow(int(max(req.ContentLength, 0)) + bytes.MinRead)
	if _, err := io.Copy(&body, req.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	now := time.Now()
	numbers := make([]uint64, 0, 128)
	strange := 0
	for rest := body.Bytes(); ; {
		i := bytes.Index(rest, timestamp)
		if i < 0 {
			break
		}
		rest = rest[i+len(timestamp):]
		if end := bytes.IndexByte(rest, '"'); end > 0 {
			if n, ok := workload.Number(rest[:end]); ok {
				numbers = append(numbers, n)
				continue
			}
		}
		strange++
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	router, err := strconv.Atoi(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || router < 0 || router >= len(r.at) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	seen := r.at[router]
	for _, n := range numbers {
		i := n - r.first
		switch {
		case i >= uint64(len(seen)):
			strange++
		case seen[i] == 0:
			seen[i] = now.UnixNano()
			if r.missing--; r.missing == 0 {
				close(r.done)
			}
		}
	}
	r.strange += strange
	r.last = now
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "[]")
}
