package daemon

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/listen"
	"github.com/erbd/erbd/engine/store"
	"github.com/erbd/erbd/engine/stream"
)

// Status is the state of a daemon, as GET /status and "erbd status" show it.
type Status struct {
	Ready   bool      `json:"ready"`
	Started time.Time `json:"started"`
	// Config is the hash of the configuration in force; Fault says why a newer one is not used.
	Config string `json:"config"`
	Fault  string `json:"fault,omitempty"`
	// Remembered is the time of the configuration in force where that is a copy from before the start.
	Remembered time.Time `json:"remembered,omitzero"`
	// Restart are the settings that changed but need a restart.
	Restart  []string        `json:"restart,omitempty"`
	NATS     string          `json:"nats,omitempty"`
	Backends []BackendStatus `json:"backends"`
	Routers  []RouterStatus  `json:"routers"`
	// Store is nil where the message server is not embedded.
	Store *store.Status `json:"store,omitempty"`
	// Lookups is nil where users and courses are not looked up on a server.
	Lookups *LookupStatus `json:"lookups,omitempty"`
	// Failed is the number of events in the bucket, Aside that of messages that could not be read.
	Failed uint64 `json:"failed"`
	Aside  uint64 `json:"aside"`
	// Agree is true where the counters agree: each accepted event has one end, and where nothing waits for a router it
	// has nothing open. The latter is not looked at with servers of nats.url, where several daemons may share the work.
	Agree bool `json:"agree"`
}

// BackendStatus is the transformation of one backend.
type BackendStatus struct {
	Name string `json:"name"`
	// Waiting is the number of intake messages that wait, Oldest the age of the oldest in seconds.
	Waiting  uint64            `json:"waiting"`
	Oldest   float64           `json:"oldest_seconds"`
	Accepted uint64            `json:"accepted"`
	Ends     map[string]uint64 `json:"ends"`
	Rejected map[string]uint64 `json:"rejected,omitempty"`
}

// RouterStatus is the delivery of one router.
type RouterStatus struct {
	Backend string `json:"backend"`
	Name    string `json:"name"`
	// Removed is true while a router that left the routers file still delivers what waits for it.
	Removed bool `json:"removed,omitempty"`
	// Waiting is the number of delivery messages that wait or are under way.
	Waiting uint64  `json:"waiting"`
	Oldest  float64 `json:"oldest_seconds"`
	// Open is the number of events handed to the router since the start that have no outcome yet, or that another
	// daemon settled: Routed and Carried less all that is settled. Where nothing waits it is 0; less would mean that an
	// event had two ends.
	Open int64 `json:"open"`
	laneCounts
}

// listen opens http.listen.
func (d *Daemon) listen() (err error) {
	h := d.opt.Settings.HTTP
	if d.visitors, err = Visitors(h, d.opt.LookupEnv); err != nil || h.Listen == config.Off {
		return err
	}
	encryption, err := serverTLS(h.TLS)
	if err != nil {
		return fmt.Errorf("http.tls: %w", err)
	}
	if d.listener, err = net.Listen("tcp", h.Listen); err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	if encryption != nil {
		encryption.NextProtos = []string{"http/1.1"}
		d.listener = tls.NewListener(d.listener, encryption)
	}
	return nil
}

// Visitors are the credentials that the pages of a daemon ask for.
func Visitors(h config.HTTP, lookupEnv func(string) (string, bool)) (c listen.Credentials, err error) {
	c.User = h.User
	if c.Password, err = h.Password.Resolve(lookupEnv); err != nil {
		return c, fmt.Errorf("http.password: %w", err)
	}
	if c.Token, err = h.Token.Resolve(lookupEnv); err != nil {
		return c, fmt.Errorf("http.token: %w", err)
	}
	return c, nil
}

// handler serves metrics, health, status and reload. Where credentials are asked for, /healthz and /readyz are the
// pages without them, for whoever watches processes, and tell no more than yes or no.
func (d *Daemon) handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(d.ledger, backlog{d}, d.requests, lookupMetrics{d}, storeMetrics{d}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	guarded := func(pattern string, h http.Handler) { mux.Handle(pattern, d.visitors.Guard(h)) }
	guarded("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", d.serveReady)
	guarded("GET /status", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, d.Status(r.Context()))
	}))
	guarded("POST /-/reload", http.HandlerFunc(d.serveReload))
	// A page in a browser on this machine must not reload.
	return http.NewCrossOriginProtection().Handler(mux)
}

func (d *Daemon) serveReload(w http.ResponseWriter, r *http.Request) {
	if err := d.Reload(context.WithoutCancel(r.Context())); err != nil {
		writeJSON(w, http.StatusConflict, map[string]string{"status": "the configuration before stays in force", "error": err.Error()})
		return
	}
	answer := map[string]any{"status": "ok", "config": d.snapshot.Load().Hash}
	if keys := d.waitsForRestart(); len(keys) > 0 {
		answer["restart"] = keys
	}
	writeJSON(w, http.StatusOK, answer)
}

func (d *Daemon) serveReady(w http.ResponseWriter, r *http.Request) {
	snap := d.snapshot.Load()
	disk := d.storeStatus()
	refuses := disk != nil && disk.State != store.OK
	ready := d.ready.Load() && d.nc.IsConnected() && !refuses
	detail := map[string]any{"ready": ready}
	if d.visitors.Allow(r) {
		d.readyDetail(snap, detail)
		if refuses {
			detail["store"] = disk.Reason
		}
	}
	code := http.StatusOK
	if !ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, detail)
}

func (d *Daemon) readyDetail(snap *Snapshot, detail map[string]any) {
	detail["config"] = snap.Hash
	if fault := d.lastFault.Load(); fault != nil {
		detail["fault"] = *fault
		if !snap.Remembered.IsZero() {
			detail["remembered"] = snap.Remembered
		}
	}
	if keys := d.waitsForRestart(); len(keys) > 0 {
		detail["restart"] = keys
	}
	if l := lookupStatus(snap); l != nil && l.Error != "" {
		detail["lookups"] = l.Error
	}
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(v) //nolint:errcheck // the client went away
}

// Status gathers the state.
func (d *Daemon) Status(ctx context.Context) Status {
	snap := d.snapshot.Load()
	s := Status{Ready: d.ready.Load(), Started: d.started.UTC().Truncate(time.Second), Config: snap.Hash, NATS: d.NATS(), Agree: true}
	if fault := d.lastFault.Load(); fault != nil {
		s.Fault, s.Remembered = *fault, snap.Remembered
	}
	s.Restart, s.Lookups, s.Store = d.waitsForRestart(), lookupStatus(snap), d.storeStatus()
	s.Ready = s.Ready && (s.Store == nil || s.Store.State == store.OK)
	for _, name := range snap.backendNames() {
		b := BackendStatus{Name: name}
		b.Accepted, b.Ends, b.Rejected = d.ledger.backendCounts(name)
		b.Waiting, b.Oldest = d.waiting(ctx, stream.RawStream, stream.TransformDurable(name))
		var ended uint64
		for _, n := range b.Ends {
			ended += n
		}
		s.Agree = s.Agree && ended == b.Accepted
		s.Backends = append(s.Backends, b)
	}
	removed := d.lanes.list()
	for _, k := range d.ledger.lanesSeen() {
		if _, known := removed[k]; !known {
			removed[k] = true
		}
	}
	for _, r := range snap.Routers.All() {
		if _, ok := removed[lane{r.Backend, r.Name}]; ok {
			s.Routers = append(s.Routers, d.routerStatus(ctx, lane{r.Backend, r.Name}, false))
		}
	}
	for k, gone := range removed {
		if gone {
			s.Routers = append(s.Routers, d.routerStatus(ctx, k, true))
		}
	}
	down := d.storeDown() // what waits is not known then
	for _, r := range s.Routers {
		// With nothing waiting, everything that was handed over must be settled: by this daemon, unless others share
		// the work on an external server.
		s.Agree = s.Agree && (down || r.Waiting > 0 || r.Open == 0 || d.opt.Settings.NATS.URL != "")
	}
	if down {
		return s
	}
	if records, err := d.store.Count(ctx); err == nil {
		s.Failed = records
	}
	if st, err := d.js.Stream(ctx, stream.BadStream); err == nil {
		s.Aside = st.CachedInfo().State.Msgs
	}
	return s
}

// settling is how often, and how long, routerStatus looks again where nothing waits but the counters are behind: a
// message is acknowledged before it is counted as settled, and stored before it is counted as routed.
const (
	settlingLooks = 10
	settlingWait  = 20 * time.Millisecond
)

func (d *Daemon) routerStatus(ctx context.Context, k lane, removed bool) RouterStatus {
	r := d.routerCounts(ctx, k, removed)
	for i := 0; i < settlingLooks && r.Waiting == 0 && r.Open != 0 && ctx.Err() == nil; i++ {
		sleep(ctx, settlingWait)
		r = d.routerCounts(ctx, k, removed)
	}
	return r
}

func (d *Daemon) routerCounts(ctx context.Context, k lane, removed bool) RouterStatus {
	r := RouterStatus{Backend: k.backend, Name: k.router, Removed: removed}
	r.Waiting, r.Oldest = d.waiting(ctx, stream.OutStream, stream.DeliverDurable(k.backend, k.router))
	r.laneCounts = d.ledger.counts(k.backend, k.router)
	r.Open = int64(r.Routed + r.Carried)
	for _, n := range r.Settled {
		r.Open -= int64(n)
	}
	return r
}

// waiting is how many messages wait for a consumer or are in somebody's hands, and the age of the oldest in seconds.
func (d *Daemon) waiting(ctx context.Context, streamName, durable string) (messages uint64, oldest float64) {
	if d.storeDown() {
		return 0, 0 // nobody would answer
	}
	c, err := d.js.Consumer(ctx, streamName, durable)
	if err != nil {
		return 0, 0
	}
	info := c.CachedInfo()
	messages = info.NumPending + uint64(info.NumAckPending)
	if messages == 0 {
		return 0, 0
	}
	s, err := d.js.Stream(ctx, streamName)
	if err != nil {
		return messages, 0
	}
	options := []jetstream.GetMsgOpt{}
	if filter := info.Config.FilterSubject; filter != "" {
		options = append(options, jetstream.WithGetMsgSubject(filter))
	}
	m, err := s.GetMsg(ctx, info.AckFloor.Stream+1, options...)
	if err != nil {
		return messages, 0
	}
	return messages, time.Since(m.Time).Seconds()
}
