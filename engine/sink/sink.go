// Package sink is a record store that keeps nothing: it takes xAPI statements and Caliper envelopes as a real one
// would, checks and counts them, and fails as it is told. It is for tests and demonstrations.
//
//	POST …/statements     xAPI: one statement or a list of them; the answer is the list of ids
//	GET  …/about          xAPI: the versions
//	POST any other path   Caliper: an envelope
//	GET  /counts          Counts as JSON
//
// A refused request counts nothing of what it holds, as record stores do it.
package sink

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	// DefaultMaxBody is the largest request body after decompression, in bytes.
	DefaultMaxBody = 64 << 20
	// DefaultRemember is the number of statement ids that are remembered to find duplicates.
	DefaultRemember = 1_000_000
)

// ErrOptions: options that cannot work.
var ErrOptions = errors.New("unusable options of the sink")

// Cut says when a failing request loses its connection.
type Cut uint8

const (
	// CutNever answers failing requests with a status.
	CutNever Cut = iota
	// CutBefore closes the connection and takes nothing.
	CutBefore
	// CutAfter takes what the request holds and closes the connection instead of answering.
	CutAfter
)

// ParseCut returns the Cut of a word: "", before or after. Its error wraps ErrOptions.
func ParseCut(s string) (Cut, error) {
	switch s {
	case "":
		return CutNever, nil
	case "before":
		return CutBefore, nil
	case "after":
		return CutAfter, nil
	}
	return 0, fmt.Errorf("%w: cut is before or after", ErrOptions)
}

// Rule refuses requests that hold a matching statement.
type Rule struct {
	Pattern *regexp.Regexp
	Status  int
}

// ParseRule reads REGEX=CODE. Its errors wrap ErrOptions.
func ParseRule(s string) (Rule, error) {
	i := strings.LastIndexByte(s, '=')
	if i < 0 {
		return Rule{}, fmt.Errorf("%w: %q is not REGEX=CODE", ErrOptions, s)
	}
	code, err := strconv.Atoi(s[i+1:])
	if err != nil || !status(code) {
		return Rule{}, fmt.Errorf("%w: %q is no status from 200 to 599", ErrOptions, s[i+1:])
	}
	re, err := regexp.Compile(s[:i])
	if err != nil {
		return Rule{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return Rule{re, code}, nil
}

// Statement is one that was taken.
type Statement struct {
	Backend   string // xapi or caliper
	ID        string
	JSON      json.RawMessage
	Duplicate bool // it was there already
}

// Options of a Sink. The zero value takes everything.
type Options struct {
	// Fail is the status of failing requests; 0 means 503. With neither Rate nor First, nor Cut, a Fail that is set
	// fails every request.
	Fail int
	// Rate is the share of requests that fail, 0 to 1.
	Rate float64
	// First is the number of requests at the beginning that fail.
	First int64
	// Cut closes the connection of a failing request; alone it fails every request.
	Cut Cut
	// Seed makes Rate repeatable; 0 means another one each time.
	Seed uint64
	// RetryAfter goes with failing answers, in whole seconds; 0: none.
	RetryAfter time.Duration
	// Delay before each answer.
	Delay time.Duration
	// Rules refuse requests by their content; the first that matches decides.
	Rules []Rule
	// RefuseKnown answers 409 to a request with a statement that is there already, as some record stores do, and not
	// only when its content differs.
	RefuseKnown bool
	// User and Password, if User is set, are asked of every request.
	User, Password string
	// MaxBody and Remember: 0 means the default.
	MaxBody  int64
	Remember int
	// Observe, if set, gets each statement taken, one at a time.
	Observe func(Statement)
}

// Counts is what was posted. Failing requests are among Requests and by status.
type Counts struct {
	Requests   int64 `json:"requests"`
	Statements int64 `json:"statements"`
	Unique     int64 `json:"unique"`
	Duplicates int64 `json:"duplicates"`
	// ByStatus counts the answers, and as "cut" the connections that were closed instead.
	ByStatus map[string]int64 `json:"by_status"`
}

// Sink is a record store that keeps nothing but ids. It is an http.Handler, safe for concurrent use.
type Sink struct {
	opt Options

	mu     sync.Mutex // guards what follows, and Observe
	counts Counts
	rand   *rand.Rand
	known  *known
}

// New checks the options. Its errors wrap ErrOptions.
func New(opt Options) (*Sink, error) {
	if opt.Fail != 0 && !status(opt.Fail) {
		return nil, fmt.Errorf("%w: %d is no status from 200 to 599", ErrOptions, opt.Fail)
	}
	if !(opt.Rate >= 0 && opt.Rate <= 1) {
		return nil, fmt.Errorf("%w: the share of failing requests is from 0 to 1", ErrOptions)
	}
	if opt.First < 0 || opt.Delay < 0 || opt.RetryAfter < 0 || opt.MaxBody < 0 || opt.Remember < 0 {
		return nil, fmt.Errorf("%w: numbers must not be negative", ErrOptions)
	}
	if opt.MaxBody == 0 {
		opt.MaxBody = DefaultMaxBody
	}
	if opt.Remember == 0 {
		opt.Remember = DefaultRemember
	}
	if opt.Seed == 0 {
		opt.Seed = rand.Uint64()
	}
	return &Sink{
		opt: opt, rand: rand.New(rand.NewPCG(opt.Seed, 0)), known: newKnown(opt.Remember),
		counts: Counts{ByStatus: map[string]int64{}},
	}, nil
}

func status(code int) bool { return code >= 200 && code <= 599 }

// Counts returns what came so far.
func (s *Sink) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.ByStatus = make(map[string]int64, len(s.counts.ByStatus))
	for k, v := range s.counts.ByStatus {
		c.ByStatus[k] = v
	}
	return c
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	reason string
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/counts" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Counts())
		return
	}
	if !s.admits(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="erbd sink"`)
		if r.Method != http.MethodPost {
			http.Error(w, "wrong user or password", http.StatusUnauthorized)
			return
		}
		s.mu.Lock()
		s.counts.Requests++
		s.mu.Unlock()
		s.answer(w, refuse(http.StatusUnauthorized, "wrong user or password"), nil)
		return
	}
	xapi := strings.HasSuffix(strings.TrimRight(r.URL.Path, "/"), "/statements")
	if r.Method != http.MethodPost {
		s.other(w, r, xapi)
		return
	}
	fails := s.fails()
	if s.opt.Delay > 0 {
		t := time.NewTimer(s.opt.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
		}
	}
	if fails && s.opt.Cut == CutBefore {
		s.cut(w)
		return
	}
	body, no := s.body(w, r)
	if no == nil && fails && s.opt.Cut == CutNever {
		if s.opt.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(int64((s.opt.RetryAfter+time.Second-1)/time.Second), 10))
		}
		no = refuse(s.failure(), "failing as told")
	}
	var ids []string
	if no == nil {
		ids, no = s.take(r, xapi, body)
	}
	if fails && s.opt.Cut == CutAfter && no == nil {
		s.cut(w)
		return
	}
	if !xapi {
		ids = nil
	}
	s.answer(w, no, ids)
}

// other answers what is no POST.
func (s *Sink) other(w http.ResponseWriter, r *http.Request, xapi bool) {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case read && strings.HasSuffix(strings.TrimRight(r.URL.Path, "/"), "/about"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"version":["1.0.3","1.0.2","1.0.1","1.0.0"]}`+"\n")
	case r.Method == http.MethodOptions && !xapi:
		w.Header().Set("Allow", "OPTIONS, POST")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "POST")
		http.Error(w, "statements are posted here; what came is at /counts", http.StatusMethodNotAllowed)
	}
}

func (s *Sink) admits(r *http.Request) bool {
	if s.opt.User == "" {
		return true
	}
	user, password, ok := r.BasicAuth()
	same := subtle.ConstantTimeCompare([]byte(user), []byte(s.opt.User)) & subtle.ConstantTimeCompare([]byte(password), []byte(s.opt.Password))
	return ok && same == 1
}

// fails counts a request and decides whether it fails.
func (s *Sink) fails() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Requests++
	if s.counts.Requests <= s.opt.First {
		return true
	}
	if s.opt.Rate > 0 {
		return s.rand.Float64() < s.opt.Rate
	}
	return s.opt.First == 0 && (s.opt.Fail != 0 || s.opt.Cut != CutNever)
}

func (s *Sink) failure() int {
	if s.opt.Fail == 0 {
		return http.StatusServiceUnavailable
	}
	return s.opt.Fail
}

func (s *Sink) body(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	var src io.Reader = http.MaxBytesReader(w, r.Body, s.opt.MaxBody)
	switch e := r.Header.Get("Content-Encoding"); e {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is no gzip")
		}
		src = io.LimitReader(z, s.opt.MaxBody+1)
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, "content encoding is gzip or none")
	}
	body, err := io.ReadAll(src)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), int64(len(body)) > s.opt.MaxBody:
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body is over %d bytes", s.opt.MaxBody)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body cannot be read")
	}
	return body, nil
}

// take checks the statements of a request and counts them, all or none.
func (s *Sink) take(r *http.Request, xapi bool, body []byte) ([]string, *refusal) {
	list, no := parse(r, xapi, body)
	if no != nil {
		return nil, no
	}
	for _, rule := range s.opt.Rules {
		for _, st := range list {
			if rule.Pattern.Match(st.JSON) {
				if rule.Status < 300 {
					return nil, &refusal{rule.Status, ""}
				}
				return nil, refuse(rule.Status, "refused as told")
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		switch s.known.look(list[i].ID, list[i].sum) {
		case same:
			list[i].Duplicate = true
			if s.opt.RefuseKnown {
				return nil, refuse(http.StatusConflict, "a statement with that id is here already")
			}
		case other:
			return nil, refuse(http.StatusConflict, "a statement with that id and other content is here already")
		}
	}
	ids := make([]string, len(list))
	for i, st := range list {
		ids[i] = st.ID
		s.counts.Statements++
		if st.Duplicate {
			s.counts.Duplicates++
		} else {
			s.known.add(st.ID, st.sum)
			s.counts.Unique++
		}
		if s.opt.Observe != nil {
			s.opt.Observe(st.Statement)
		}
	}
	return ids, nil
}

// answer writes the answer and counts it.
func (s *Sink) answer(w http.ResponseWriter, no *refusal, ids []string) {
	code := http.StatusOK
	if no != nil {
		code = no.status
	}
	s.mu.Lock()
	s.counts.ByStatus[strconv.Itoa(code)]++
	s.mu.Unlock()
	w.Header().Set("X-Experience-API-Version", "1.0.3")
	switch {
	case no != nil && no.reason != "":
		http.Error(w, no.reason, code)
	case no != nil || ids == nil:
		w.WriteHeader(code)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(ids)
	}
}

// cut closes the connection without an answer.
func (s *Sink) cut(w http.ResponseWriter) {
	s.mu.Lock()
	s.counts.ByStatus["cut"]++
	s.mu.Unlock()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2 has no connection of its own
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = conn.Close()
}
