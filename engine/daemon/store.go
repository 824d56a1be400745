package daemon

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/erbd/erbd/engine/store"
)

// watchStore makes the guard of the embedded server's store.
func (d *Daemon) watchStore() {
	d.guard = store.New(store.Options{
		Server: d.server, Conn: d.nc, Reserve: int64(d.opt.Settings.NATS.MinFree), Log: d.log,
		Intake: func(ctx context.Context, open bool) error {
			t := topology(d.snapshot.Load())
			t.Closed = !open
			return t.EnsureIntake(ctx, d.js, d.features)
		},
		Restored: d.storeRestored,
	})
}

// hold calls f while the store is neither closed nor opened; it returns store.ErrDown where it is closed.
func (d *Daemon) hold(f func() error) error {
	if d.guard == nil {
		return f()
	}
	return d.guard.Hold(f)
}

// ensure makes the streams and consumers of a snapshot, with the intake as the room on the disk demands.
func (d *Daemon) ensure(ctx context.Context, snap *Snapshot) error {
	return d.hold(func() error {
		t := topology(snap)
		t.Closed = d.guard != nil && d.guard.Closed()
		return t.Ensure(ctx, d.js, d.features)
	})
}

// storeRestored makes what a store that failed may have lost, and loads the configuration that could not be taken in
// meanwhile.
func (d *Daemon) storeRestored(ctx context.Context) {
	if err := d.ensure(ctx, d.snapshot.Load()); err != nil {
		d.log.Error("streams and consumers cannot be checked", "error", err)
	}
	if d.lastFault.Load() != nil {
		d.Reload(ctx) //nolint:errcheck // it has been logged
	}
}

// storeStatus is nil where the server is not embedded.
func (d *Daemon) storeStatus() *store.Status {
	if d.guard == nil {
		return nil
	}
	s := d.guard.Status()
	s.Losses = d.inventory.Losses()
	return &s
}

// storeDown reports whether the embedded server answers nothing since its store is closed.
func (d *Daemon) storeDown() bool { return d.guard != nil && d.guard.Status().State == store.Down }

var (
	descStore    = prometheus.NewDesc("erb_store_accepting", "1 while the store of the embedded server takes events, 0 while the disk is full or fails.", nil, nil)
	descFree     = prometheus.NewDesc("erb_store_free_bytes", "What can be written to the disk of the store.", nil, nil)
	descReserve  = prometheus.NewDesc("erb_store_reserve_bytes", "What has to stay free on the disk of the store; with less, no events are accepted.", nil, nil)
	descLost     = prometheus.NewDesc("erb_store_lost_messages", "Messages that damage of the store destroyed in the last week, at most.", nil, nil)
	descDamage   = prometheus.NewDesc("erb_store_damages", "Damages of the store that were found in the last week.", nil, nil)
	descFailures = prometheus.NewDesc("erb_store_failures_total", "How often the store could not be written since the start.", nil, nil)
)

// storeMetrics shows the state of the store. It is a prometheus.Collector, safe for concurrent use.
type storeMetrics struct{ d *Daemon }

// Describe implements prometheus.Collector.
func (m storeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descStore, descFree, descReserve, descFailures, descLost, descDamage} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It shows nothing with an external server.
func (m storeMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.d.storeStatus()
	if s == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(descStore, prometheus.GaugeValue, truth(s.State == store.OK))
	if s.Free >= 0 {
		ch <- prometheus.MustNewConstMetric(descFree, prometheus.GaugeValue, float64(s.Free))
	}
	ch <- prometheus.MustNewConstMetric(descReserve, prometheus.GaugeValue, float64(s.Reserve))
	lost := uint64(0)
	for _, l := range s.Losses {
		lost += l.Messages
	}
	ch <- prometheus.MustNewConstMetric(descLost, prometheus.GaugeValue, float64(lost))
	ch <- prometheus.MustNewConstMetric(descDamage, prometheus.GaugeValue, float64(len(s.Losses)))
	ch <- prometheus.MustNewConstMetric(descFailures, prometheus.CounterValue, float64(s.Failures))
}
