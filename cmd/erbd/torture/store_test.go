//go:build unix

package torture

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// store is a record store that does everything wrong that one can, but one thing: what it has answered with 2xx, it
// has.
type store struct {
	t       *testing.T
	name    string
	address string
	dice    *dice
	// faults it draws from.
	faults []fault
	// level is the chance, in percent, that a request meets a fault.
	level atomic.Int64
	// followed counts requests that came by a redirect, which nobody may follow.
	followed atomic.Int64

	mu      sync.Mutex
	server  *http.Server
	served  chan struct{}
	taken   map[string]int             // id → times
	docs    map[string]json.RawMessage // id → statement as it came first
	changed []string                   // ids that came with another content later
	met     map[string]int             // fault → times
	paused  bool                       // the last request met a fault that pauses
}

func newStore(t *testing.T, name string, faults []fault) *store {
	t.Helper()
	s := &store{
		t: t, name: name, address: address(t), dice: newDice("store " + name), faults: faults,
		taken: map[string]int{}, docs: map[string]json.RawMessage{}, met: map[string]int{},
	}
	s.up()
	t.Cleanup(s.down)
	return s
}

// up makes the store listen.
func (s *store) up() {
	s.t.Helper()
	var l net.Listener
	require.Eventually(s.t, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", s.address)
		return err == nil
	}, patience, 10*time.Millisecond, s.address)
	server, served := &http.Server{Handler: s, ReadHeaderTimeout: patience}, make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l) //nolint:errcheck // it is closed
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.served = server, served
}

// down closes the store with all its connections.
func (s *store) down() {
	s.mu.Lock()
	server, served := s.server, s.served
	s.mu.Unlock()
	server.Close() //nolint:errcheck // that is the fault
	<-served
}

func (s *store) url(path string) string { return "http://" + s.address + path }

// request is one that the store got.
type request struct {
	docs     []json.RawMessage
	ids      []string
	poisoned bool
	doomed   bool
}

func (s *store) read(r *http.Request) (*request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q := &request{poisoned: bytes.Contains(body, []byte("+"+poisoned)), doomed: bytes.Contains(body, []byte("+"+doomed))}
	var envelope struct{ Data []json.RawMessage }
	switch {
	case bytes.HasPrefix(body, []byte("[")):
		err = json.Unmarshal(body, &q.docs)
	case json.Unmarshal(body, &envelope) == nil && envelope.Data != nil:
		q.docs = envelope.Data
	default:
		q.docs = []json.RawMessage{body}
	}
	if err != nil {
		return nil, err
	}
	for _, doc := range q.docs {
		var one statement
		if err := json.Unmarshal(doc, &one); err != nil {
			return nil, err
		}
		q.ids = append(q.ids, one.ID)
	}
	return q, nil
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/elsewhere") {
		s.followed.Add(1)
		return
	}
	q, err := s.read(r)
	if err != nil { // the daemon was killed while it sent
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch {
	case q.poisoned:
		s.count("400 for what it refuses")
		w.WriteHeader(http.StatusBadRequest)
		return
	case q.doomed:
		f := one(s.dice, dooms)
		s.count(f.name)
		f.do(s, w, q)
		return
	}
	f := s.draw(q)
	if f == nil {
		s.answer(w, q)
		return
	}
	s.count(f.name)
	f.do(s, w, q)
}

// draw decides whether a request meets a fault. Those that pause the router for a second are rarer than others, and do
// not follow each other, since pauses grow.
func (s *store) draw(q *request) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	paused := s.paused
	s.paused = false
	if !s.dice.chance(float64(s.level.Load()) / 100) {
		return nil
	}
	f := one(s.dice, s.faults)
	if f.batches && len(q.ids) == 1 || f.pauses && (paused || s.dice.chance(0.8)) {
		return nil
	}
	s.paused = f.pauses
	return &f
}

// answer does what a record store should: it stores, and refuses what it knows with 409, as some do, or takes it again.
func (s *store) answer(w http.ResponseWriter, q *request) {
	if s.knows(q) && s.dice.chance(0.5) {
		s.count("409 for what it knows")
		w.WriteHeader(http.StatusConflict)
		return
	}
	s.take(q)
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(q.ids) //nolint:errcheck // the daemon was killed
}

// knows reports whether the store has any statement of a request.
func (s *store) knows(q *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range q.ids {
		if s.taken[id] > 0 {
			return true
		}
	}
	return false
}

func (s *store) take(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range q.ids {
		if s.taken[id]++; s.taken[id] == 1 {
			s.docs[id] = q.docs[i]
		} else if !bytes.Equal(s.docs[id], q.docs[i]) {
			s.changed = append(s.changed, id)
		}
	}
}

func (s *store) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.met[what]++
}

// unique is how many statements the store has, and repeated how many came again.
func (s *store) unique() (unique, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.taken {
		repeated += n - 1
	}
	return len(s.taken), repeated
}
