package daemon

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/erbd/erbd/engine/stream"
)

// The outcomes of the transformation, beside "transformed": the ends of events that no router gets.
const (
	endFiltered = "filtered"
	endUnmapped = "unmapped"
	endUnrouted = "unrouted"
	endRejected = "rejected"
	endInvalid  = "invalid"
	transformed = "transformed"
)

// lane names a router in the ledger.
type lane struct{ backend, router string }

// ledger counts what became of events since the daemon started. Every accepted event is counted once as accepted and
// once with its end for a backend. What a router has to settle is counted once where it comes from: routed by this run
// of the daemon, or carried over from another one; and once as settled. It is a prometheus.Collector and a stream.Meter,
// safe for concurrent use.
//
// Counters begin at 0 with each process. Carried are the events of messages that another run stored, counted when
// they are settled or made messages of this run. So routed + carried - settled is exactly what this run handed over and
// has not settled, after a crash, too: what it publishes a second time under the same id is not stored, and not counted, a
// second time; what it then packs with other events is a message of its own, which is delivered and counted again.
// Of an event that was settled and not acknowledged when the daemon was killed each run counts its own end.
type ledger struct {
	mu       sync.Mutex
	run      stream.Run
	raw      map[string]*places // backend → messages of the intake that are counted
	out      places             // delivery messages that are counted as routed
	acked    places             // delivery messages whose events are settled
	accepted map[string]uint64
	ends     map[string]map[string]uint64 // backend → end
	rejected map[string]map[string]uint64 // backend → mapping line and field
	warnings map[string]uint64            // backend
	lanes    map[lane]*laneCounts
	reloads  struct {
		good, bad uint64
		ok        bool
		at        time.Time
		hash      string
		restart   int // settings that wait for one
	}
}

type laneCounts struct {
	Routed      uint64            `json:"routed"`
	Carried     uint64            `json:"carried"`
	Settled     map[string]uint64 `json:"settled"`
	Reasons     map[string]uint64 `json:"reasons,omitempty"`
	Retried     uint64            `json:"retried"`
	Unreadable  uint64            `json:"unreadable,omitempty"`
	Paused      string            `json:"paused,omitempty"`
	LastError   string            `json:"last_error,omitempty"`
	LastErrorAt time.Time         `json:"last_error_at,omitzero"`
}

func newLedger() *ledger {
	return &ledger{
		raw: map[string]*places{}, accepted: map[string]uint64{}, ends: map[string]map[string]uint64{}, rejected: map[string]map[string]uint64{},
		warnings: map[string]uint64{}, lanes: map[lane]*laneCounts{},
	}
}

// tally is what became of the events of one message for one backend.
type tally struct {
	seq      uint64 // place of the message in the intake
	accepted uint64
	ends     map[string]uint64
	rejected map[string]uint64
	warnings uint64
}

func newTally(seq uint64) tally {
	return tally{seq: seq, ends: map[string]uint64{}, rejected: map[string]uint64{}}
}

// maxReasons bounds the reasons that are told apart, and with them the metric labels.
const maxReasons = 500

// otherReasons stands for those that are not told apart.
const otherReasons = "other"

// begin is called once, before anything is counted.
func (l *ledger) begin(run stream.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run = run
}

// routed books a delivery message that is stored at a place in the stream. A place is booked once, and one from before
// this run not at all.
func (l *ledger) routed(backend, router string, seq uint64, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run.New(seq) && l.out.add(seq) {
		l.lane(backend, router).Routed += uint64(events)
	}
}

// counted makes delivery messages for a router count as routed when they are stored.
func (l *ledger) counted(backend, router string, messages []stream.Message) []stream.Message {
	for i := range messages {
		n := messages[i].Items()
		messages[i].Stored = func(seq uint64) { l.routed(backend, router, seq, n) }
	}
	return messages
}

// unsent books events that end before they can be stored for a router.
func (l *ledger) unsent(backend, router string, o stream.Outcome, reason string, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.lane(backend, router)
	c.Routed += uint64(events)
	l.settle(c, o, reason, events)
}

// add books the tally of an intake message, once: it comes again where its acknowledgement was lost or late.
func (l *ledger) add(backend string, t *tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.raw[backend] == nil {
		l.raw[backend] = &places{}
	}
	if !l.raw[backend].add(t.seq) {
		return
	}
	l.accepted[backend] += t.accepted
	l.warnings[backend] += t.warnings
	addAll(l.ends, backend, t.ends)
	for reason, n := range t.rejected {
		if _, known := l.rejected[backend][reason]; !known && len(l.rejected[backend]) >= maxReasons {
			reason = otherReasons
		}
		addAll(l.rejected, backend, map[string]uint64{reason: n})
	}
}

func addAll(into map[string]map[string]uint64, key string, counts map[string]uint64) {
	if into[key] == nil {
		into[key] = map[string]uint64{}
	}
	for k, n := range counts {
		into[key][k] += n
	}
}

// lane returns the counts of a router; mu is held.
func (l *ledger) lane(backend, router string) *laneCounts {
	c := l.lanes[lane{backend, router}]
	if c == nil {
		c = &laneCounts{Settled: map[string]uint64{}, Reasons: map[string]uint64{}}
		l.lanes[lane{backend, router}] = c
	}
	return c
}

// Acked implements stream.Meter.
func (l *ledger) Acked(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked.add(seq)
}

// Carried implements stream.Meter.
func (l *ledger) Carried(backend, router string, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lane(backend, router).Carried += uint64(events)
}

// Settled implements stream.Meter.
func (l *ledger) Settled(backend, router string, o stream.Outcome, reason string, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(l.lane(backend, router), o, reason, events)
}

func (l *ledger) settle(c *laneCounts, o stream.Outcome, reason string, events int) {
	c.Settled[o.String()] += uint64(events)
	if reason != "" {
		l.trouble(c, reason, events)
	}
}

// Retried implements stream.Meter.
func (l *ledger) Retried(backend, router, reason string, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.lane(backend, router)
	c.Retried += uint64(events)
	l.trouble(c, reason, events)
}

func (l *ledger) trouble(c *laneCounts, reason string, events int) {
	c.Reasons[reason] += uint64(events)
	c.LastError, c.LastErrorAt = reason, time.Now().UTC().Truncate(time.Second)
}

// Paused implements stream.Meter.
func (l *ledger) Paused(backend, router, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.lane(backend, router)
	c.Paused = reason
	if reason != "" {
		l.trouble(c, reason, 0)
	}
}

// Unreadable implements stream.Meter.
func (l *ledger) Unreadable(backend, router string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lane(backend, router).Unreadable++
}

// reloaded notes the end of a load of a snapshot.
func (l *ledger) reloaded(ok bool, hash string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok {
		l.reloads.good++
	} else {
		l.reloads.bad++
	}
	l.reloads.hash = hash
	l.reloads.ok, l.reloads.at = ok, time.Now().UTC().Truncate(time.Second)
}

// restart notes how many settings wait for a restart.
func (l *ledger) restart(settings int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reloads.restart = settings
}

var (
	descAccepted = prometheus.NewDesc("erb_events_accepted_total", "Events taken from the intake, by backend.", []string{"backend"}, nil)
	descEnds     = prometheus.NewDesc("erb_events_total", "What the transformation made of the accepted events.", []string{"backend", "outcome"}, nil)
	descRejected = prometheus.NewDesc("erb_events_rejected_total", "Rejected events by the field and mapping line that refused them.", []string{"backend", "field"}, nil)
	descWarnings = prometheus.NewDesc("erb_filter_failures_total", "Filters that failed silently.", []string{"backend"}, nil)
	descRouted   = prometheus.NewDesc("erb_routed_total", "Events handed to a router.", []string{"backend", "router"}, nil)
	descCarried  = prometheus.NewDesc("erb_carried_total", "Events of a router that another run of erbd handed over and this one took on.", []string{"backend", "router"}, nil)
	descSettled  = prometheus.NewDesc("erb_settled_total", "What became of the events of a router.", []string{"backend", "router", "outcome"}, nil)
	descRetried  = prometheus.NewDesc("erb_retries_total", "Events that wait for another attempt.", []string{"backend", "router"}, nil)
	descReasons  = prometheus.NewDesc("erb_delivery_failures_total", "Failures of deliveries by reason.", []string{"backend", "router", "reason"}, nil)
	descPaused   = prometheus.NewDesc("erb_router_paused", "1 while the router waits for its endpoint.", []string{"backend", "router"}, nil)
	descReload   = prometheus.NewDesc("erb_config_last_reload_successful", "1 where the last load of settings, mappings, filters and routers succeeded.", nil, nil)
	descReloadAt = prometheus.NewDesc("erb_config_last_reload_timestamp_seconds", "When settings, mappings, filters and routers were last loaded.", nil, nil)
	descReloads  = prometheus.NewDesc("erb_config_reloads_total", "Loads of settings, mappings, filters and routers.", []string{"result"}, nil)
	descRestart  = prometheus.NewDesc("erb_config_restart_settings", "Settings that changed but wait for a restart.", nil, nil)
	descHash     = prometheus.NewDesc("erb_config_hash", "The configuration in force, as a label.", []string{"hash"}, nil)
)

// Describe implements prometheus.Collector.
func (l *ledger) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, ch) }

// Collect implements prometheus.Collector.
func (l *ledger) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for backend, n := range l.accepted {
		counter(descAccepted, n, backend)
	}
	for backend, n := range l.warnings {
		counter(descWarnings, n, backend)
	}
	for backend, ends := range l.ends {
		for end, n := range ends {
			counter(descEnds, n, backend, end)
		}
	}
	for backend, fields := range l.rejected {
		for field, n := range fields {
			counter(descRejected, n, backend, field)
		}
	}
	for k, c := range l.lanes {
		counter(descRouted, c.Routed, k.backend, k.router)
		counter(descCarried, c.Carried, k.backend, k.router)
		counter(descRetried, c.Retried, k.backend, k.router)
		gauge(descPaused, truth(c.Paused != ""), k.backend, k.router)
		for outcome, n := range c.Settled {
			counter(descSettled, n, k.backend, k.router, outcome)
		}
		for reason, n := range c.Reasons {
			counter(descReasons, n, k.backend, k.router, reason)
		}
	}
	gauge(descReload, truth(l.reloads.ok))
	gauge(descReloadAt, float64(l.reloads.at.Unix()))
	counter(descReloads, l.reloads.good, "good")
	counter(descReloads, l.reloads.bad, "bad")
	gauge(descRestart, float64(l.reloads.restart))
	gauge(descHash, 1, l.reloads.hash)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// counts returns a copy of the counts of a router.
func (l *ledger) counts(backend, router string) laneCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := *l.lane(backend, router)
	c.Settled, c.Reasons = maps.Clone(c.Settled), maps.Clone(c.Reasons)
	return c
}

// lanesSeen lists the routers that have counts, sorted.
func (l *ledger) lanesSeen() []lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Keys(l.lanes), func(a, b lane) int {
		return cmp.Or(cmp.Compare(a.backend, b.backend), cmp.Compare(a.router, b.router))
	})
}

// backendCounts returns a copy of the counts of a backend's transformation.
func (l *ledger) backendCounts(backend string) (accepted uint64, ends, rejected map[string]uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted[backend], maps.Clone(l.ends[backend]), maps.Clone(l.rejected[backend])
}
