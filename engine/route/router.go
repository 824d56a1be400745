// Package route reads the routers file and decides which router wants which event.
//
// The file maps a backend to its routers, in YAML or JSON:
//
//	xapi:
//	  - name: lrs
//	    url: https://lrs.example.com/xAPI
//	    auth: {scheme: basic, username: key, password: "${env:LRS_PASSWORD}"}
//	    match_params: {course_id: "^.*course-v.:edX\\+.*\\+2021.*$", name: ["^problem.*", "video"]}
//	    override_args: {}
//	    headers: {}
//	    retry: {max_retries: 3, countdown: 30s}
//	    batch: {enabled: false, size: 100, interval: 60s}
//
// match_params is an AND over its keys and an OR over a list of regular expressions (RE2), each searched in the value
// of the original event. What a key means is the business of the predicate (see Param).
//
// A Set is read in two steps: Parse finds every fault of the file, Resolve then follows the references to secrets. A
// resolved Set is immutable and safe for concurrent use.
package route

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/event"
)

// Param is one key of match_params with its alternatives. All params of a router must match; a param matches when
// one of its patterns, a regular expression of RE2, is found in the value.
//
// A dotted key is a path. A bare key that is absent at the root of the event is looked for in context, then in data.
// A missing value, a null, an object or a list does not match; numbers and booleans match by their JSON text.
type Param struct {
	Key      string
	Patterns []string
}

// Override is one root key that a router sets, with its value as JSON.
type Override struct {
	Key   string
	Value []byte
}

// Router is one record store and what it wants.
type Router struct {
	Backend string
	// Name is unique in its backend and fit for NATS subjects.
	Name string
	// Pos is where the router stands in the file.
	Pos diag.Position
	// Params as written, none when the router wants everything.
	Params []Param
	// Overrides in the order of the file.
	Overrides []Override
	// Batch is as the file says or the default; Batch.Enabled false means that each event is sent by itself.
	Batch config.Batch
	Retry config.Retry
	// Timeout of one request.
	Timeout time.Duration
	// Gzip compresses request bodies.
	Gzip bool
	// Requests is the number of requests in flight at once.
	Requests int

	url      text
	scheme   deliver.Scheme
	username text
	password text
	token    text
	headers  []header
	delivery *config.Delivery

	backend *backend // its own and its neighbours' predicates
	looks   bool     // Params ask for more than the name
}

type header struct {
	name  string
	value text
}

// String returns backend/name.
func (r *Router) String() string { return r.Backend + "/" + r.Name }

// Format implements fmt.Formatter for every verb, so that no credentials show.
func (r *Router) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

// LogValue implements slog.LogValuer.
func (r *Router) LogValue() slog.Value { return slog.StringValue(r.String()) }

// BatchSize returns the number of statements in a request, 1 where batching is off.
func (r *Router) BatchSize() int {
	if !r.Batch.Enabled {
		return 1
	}
	return r.Batch.Size
}

// Wants reports whether the router wants an event. What is asked of the name alone is remembered, for a bounded number
// of names. Of several routers ask Set.Wanted.
func (r *Router) Wants(ev event.Event) bool {
	return len(r.Params) == 0 || slices.Contains(r.backend.wanted(nil, ev), r)
}

// Delivery returns the settings of the router's client, credentials included. Before Resolve those are empty. sensor
// is the sensor of Caliper envelopes.
func (r *Router) Delivery(sensor string) deliver.Config {
	format, _ := deliver.ParseFormat(r.Backend) // Parse has checked it
	cfg := deliver.Config{
		Format: format, URL: r.url.value, Timeout: r.Timeout, Gzip: r.Gzip, Conns: r.Requests, SensorID: sensor,
		Auth: deliver.Auth{Scheme: r.scheme, Username: r.username.value, Password: r.password.value, Token: r.token.value},
	}
	cfg.Targets = r.targets(cfg.URL)
	if len(r.headers) > 0 {
		cfg.Headers = make(map[string]string, len(r.headers))
		for _, h := range r.headers {
			cfg.Headers[h.name] = h.value.value
		}
	}
	if format == deliver.Caliper && len(r.Overrides) > 0 {
		cfg.Override = r.Override
	}
	return cfg
}

func (r *Router) targets(to string) deliver.Targets {
	if r.delivery == nil {
		return deliver.Targets{Plaintext: true}
	}
	u, err := url.Parse(to)
	return deliver.Targets{
		ForbidPrivate: r.delivery.ForbidPrivateTargets, Allow: r.delivery.Allowed(),
		Plaintext: err == nil && r.delivery.Plaintext(u.Hostname()),
	}
}

// Set is the routers of all backends.
type Set struct {
	all  []*Router
	by   map[string]*backend
	hash string
}

// All returns every router that is switched on, in the order of the file. The caller must not change it.
func (s *Set) All() []*Router { return s.all }

// Backend returns the routers of a backend, in the order of the file. The caller must not change it.
func (s *Set) Backend(name string) []*Router {
	if b := s.by[name]; b != nil {
		return b.routers
	}
	return nil
}

// Hash tells sets apart by the content of their file: equal hashes, equal routers. It does not cover the secrets
// that the file refers to, nor the defaults.
func (s *Set) Hash() string { return s.hash }

// Wanted appends the routers of a backend that want an event to dst, which may be a buffer used before. All of them
// share one pass over the members of the event, which is not made where the name settles it.
func (s *Set) Wanted(dst []*Router, backend string, ev event.Event) []*Router {
	if b := s.by[backend]; b != nil {
		dst = b.wanted(dst, ev)
	}
	return dst
}
