package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/erbd/erbd/engine/lookup"
)

// LookupStatus is the source of users and courses on a server. While it fails, events that need it wait.
type LookupStatus struct {
	// Error is why it fails now, "" while it answers.
	Error   string      `json:"error,omitempty"`
	Users   LookupCache `json:"users"`
	Courses LookupCache `json:"courses"`
}

// LookupCache are counts since the source was opened; Entries are the answers in the cache now.
type LookupCache struct {
	Hits      uint64 `json:"hits"`
	Unknown   uint64 `json:"unknown_hits"`
	Misses    uint64 `json:"misses"`
	Joined    uint64 `json:"joined"`
	Questions uint64 `json:"questions"`
	Keys      uint64 `json:"keys"`
	Failures  uint64 `json:"failures"`
	Entries   int    `json:"entries"`
	Waiting   int    `json:"waiting"`
}

// lookupStatus is nil where there is no source on a server.
func lookupStatus(snap *Snapshot) *LookupStatus {
	if snap.Lookups == nil {
		return nil
	}
	users, courses := snap.Lookups.Stats()
	s := &LookupStatus{Users: lookupCache(users), Courses: lookupCache(courses)}
	if err := snap.Lookups.Err(); err != nil {
		s.Error = reason(err)
	}
	return s
}

func lookupCache(s lookup.CacheStats) LookupCache {
	return LookupCache{
		Hits: s.Hits, Unknown: s.Unknown, Misses: s.Misses, Joined: s.Joined,
		Questions: s.Questions, Keys: s.Keys, Failures: s.Failures, Entries: s.Entries, Waiting: s.Waiting,
	}
}

// lookupMetrics is a prometheus.Collector of the look-ups of the snapshot in force.
type lookupMetrics struct{ d *Daemon }

var (
	descLookupUp        = prometheus.NewDesc("erb_lookup_up", "1 where the source of users and courses answers; while it is 0, events wait.", nil, nil)
	descLookups         = prometheus.NewDesc("erb_lookups_total", "Look-ups of users and courses: hit and unknown from the cache, miss not.", []string{"kind", "result"}, nil)
	descLookupQuestions = prometheus.NewDesc("erb_lookup_questions_total", "Questions to the source of users and courses.", []string{"kind"}, nil)
	descLookupKeys      = prometheus.NewDesc("erb_lookup_keys_total", "Users and courses that the source was asked for.", []string{"kind"}, nil)
	descLookupFailures  = prometheus.NewDesc("erb_lookup_failures_total", "Questions that the source did not answer.", []string{"kind"}, nil)
	descLookupEntries   = prometheus.NewDesc("erb_lookup_cache_entries", "Answers that are kept.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector.
func (m lookupMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLookupUp, descLookups, descLookupQuestions, descLookupKeys, descLookupFailures, descLookupEntries} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m lookupMetrics) Collect(ch chan<- prometheus.Metric) {
	s := lookupStatus(m.d.snapshot.Load())
	if s == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(descLookupUp, prometheus.GaugeValue, truth(s.Error == ""))
	for kind, c := range map[string]LookupCache{"user": s.Users, "course": s.Courses} {
		counter := func(d *prometheus.Desc, n uint64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{kind}, labels...)...)
		}
		counter(descLookups, c.Hits-c.Unknown, "hit")
		counter(descLookups, c.Unknown, "unknown")
		counter(descLookups, c.Misses, "miss")
		counter(descLookupQuestions, c.Questions)
		counter(descLookupKeys, c.Keys)
		counter(descLookupFailures, c.Failures)
		ch <- prometheus.MustNewConstMetric(descLookupEntries, prometheus.GaugeValue, float64(c.Entries), kind)
	}
}
