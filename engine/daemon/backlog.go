package daemon

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// backlogTimeout bounds what a scrape waits for the message server.
const backlogTimeout = 3 * time.Second

var (
	descIntake       = prometheus.NewDesc("erb_intake_waiting_messages", "Messages of the intake that wait for their transformation.", []string{"backend"}, nil)
	descIntakeOldest = prometheus.NewDesc("erb_intake_oldest_seconds", "Age of the oldest message that waits for its transformation, 0 where none does.", []string{"backend"}, nil)
	descQueue        = prometheus.NewDesc("erb_router_waiting_messages", "Messages that wait for a router or are under way; one holds one or many events.", []string{"backend", "router"}, nil)
	descQueueOldest  = prometheus.NewDesc("erb_router_oldest_seconds", "Age of the oldest message that waits for a router, 0 where none does.", []string{"backend", "router"}, nil)
	descKept         = prometheus.NewDesc("erb_failed_events", "Critical events that are kept because they could not be delivered.", nil, nil)
	descAside        = prometheus.NewDesc("erb_unreadable_messages", "Messages that are kept aside because they could not be read.", nil, nil)
	descAgree        = prometheus.NewDesc("erb_counters_agree", "1 where each accepted event has one end, and each routed one is settled or waits.", nil, nil)
)

// backlog shows as metrics what the message server holds, which it asks at each scrape. It is a
// prometheus.Collector, safe for concurrent use.
type backlog struct{ d *Daemon }

// Describe implements prometheus.Collector.
func (b backlog) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descIntake, descIntakeOldest, descQueue, descQueueOldest, descKept, descAside, descAgree} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Where the message server does not answer it shows nothing, so that an
// alert on absence sees it.
func (b backlog) Collect(ch chan<- prometheus.Metric) {
	if !b.d.nc.IsConnected() || b.d.storeDown() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	s := b.d.Status(ctx)
	if ctx.Err() != nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, k := range s.Backends {
		gauge(descIntake, float64(k.Waiting), k.Name)
		gauge(descIntakeOldest, k.Oldest, k.Name)
	}
	for _, r := range s.Routers {
		gauge(descQueue, float64(r.Waiting), r.Backend, r.Name)
		gauge(descQueueOldest, r.Oldest, r.Backend, r.Name)
	}
	gauge(descKept, float64(s.Failed))
	gauge(descAside, float64(s.Aside))
	gauge(descAgree, truth(s.Agree))
}
