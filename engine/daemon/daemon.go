package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/failed"
	"github.com/erbd/erbd/engine/listen"
	"github.com/erbd/erbd/engine/store"
	"github.com/erbd/erbd/engine/stream"
)

// Options are what a Daemon is made of.
type Options struct {
	// Settings of the server, the addresses and the limits.
	Settings *config.Settings
	// Load reads all files anew and compiles them; Reload calls it, and New for the first snapshot. Its errors are
	// shown as they are.
	Load func(ctx context.Context) (*Snapshot, error)
	// InForce, where set, is told of each snapshot that is in force from then on: of the first by New, of others by
	// Reload. It is called one at a time, and must not call methods of the daemon.
	InForce func(*Snapshot)
	// LookupEnv follows references to secrets, usually os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Log gets no data of events above debug.
	Log *slog.Logger
	// Stdout takes the statement logs that go there.
	Stdout io.Writer
}

// Daemon is a running erbd. Its methods are safe for concurrent use.
type Daemon struct {
	opt    Options
	log    *slog.Logger
	ledger *ledger
	logs   *statementLogs

	server    *stream.Embedded // nil with an external server
	guard     *store.Guard     // nil with an external server
	inventory *store.Inventory // nil with an external server
	nc        *nats.Conn
	js        jetstream.JetStream
	features  stream.Features
	pub       *stream.Publisher
	store     *failed.Store
	lanes     *lanes
	tracing   *tracing
	requests  *prometheus.HistogramVec
	listener  net.Listener // nil where http.listen is off
	visitors  listen.Credentials

	snapshot  atomic.Pointer[Snapshot]
	reloading sync.Mutex // held while a snapshot is replaced
	stopped   bool       // no reload any more; guarded by reloading
	lastFault atomic.Pointer[string]
	restart   atomic.Pointer[[]string] // settings that wait for a restart
	stages    []*stage                 // set by Run before anything runs
	ready     atomic.Bool
	started   time.Time
	// runCtx is the context of Run's workers, which a reload starts new ones with.
	runCtx atomic.Pointer[context.Context]
}

// startTimeout bounds what New waits for the message server.
const startTimeout = 30 * time.Second

// New starts the message server or connects to it, makes streams and consumers, loads the first snapshot, and
// listens. Nothing is running or locked when it returns an error: stream.ErrLocked where another erbd owns the store
// directory, stream.ErrIncompatible where streams exist with other settings, or what Load returned.
func New(ctx context.Context, opt Options) (*Daemon, error) {
	d := &Daemon{opt: opt, log: opt.Log, ledger: newLedger(), started: time.Now()}
	d.logs = newStatementLogs(opt.Stdout, opt.Log)
	d.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "erb_request_duration_seconds", Help: "Requests to record stores, by the class of their answer.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"backend", "router", "answer"})
	if err := d.start(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context) error {
	snap, err := d.opt.Load(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := d.connect(); err != nil {
		return err
	}
	if d.js, err = jetstream.New(d.nc, jetstream.WithDefaultTimeout(10*time.Second)); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	if d.features, err = stream.Detect(ctx, d.nc, d.js); err != nil {
		return err
	}
	if d.features.Warning != "" {
		d.log.Warn("the message server has a known problem", "version", d.features.Version, "problem", d.features.Warning)
	}
	if d.server != nil {
		d.watchStore()
	}
	if err := d.prepare(ctx, snap); err != nil {
		return err
	}
	if d.inventory != nil {
		d.inventory.CheckServer(ctx, d.js)
	}
	s := d.opt.Settings
	d.pub = stream.NewPublisher(d.nc, d.js, d.features, s.NATS.URL != "" || s.NATS.SyncAlways)
	run, err := stream.BeginRun(ctx, d.js)
	if err != nil {
		return err
	}
	d.pub.Run = run
	d.ledger.begin(run)
	if d.store, err = failed.Open(ctx, d.js, failed.Options{Replicas: s.NATS.Replicas}); err != nil {
		return err
	}
	if d.tracing, err = newTracing(ctx, s.Tracing.Endpoint, d.log); err != nil {
		return err
	}
	d.lanes = newLanes(d)
	if err := d.listen(); err != nil {
		return err
	}
	d.logs.apply(snap)
	d.snapshot.Store(snap)
	d.ledger.reloaded(snap.Fault == nil, snap.Hash)
	if snap.Fault != nil {
		text := snap.Fault.Error()
		d.lastFault.Store(&text)
		d.log.Error("the configuration is not used: erbd starts with the one that worked last", "remembered", snap.Remembered, "error", snap.Fault)
	}
	d.inForce(snap)
	return nil
}

func (d *Daemon) inForce(snap *Snapshot) {
	d.limitMemory(snap)
	if d.opt.InForce != nil {
		d.opt.InForce(snap)
	}
}

// Snapshot is the configuration in force.
func (d *Daemon) Snapshot() *Snapshot { return d.snapshot.Load() }

// connect starts the embedded server or connects to an external one.
func (d *Daemon) connect() (err error) {
	n := d.opt.Settings.NATS
	password, err := n.Password.Resolve(d.opt.LookupEnv)
	if err != nil {
		return fmt.Errorf("nats.password: %w", err)
	}
	token, err := n.Token.Resolve(d.opt.LookupEnv)
	if err != nil {
		return fmt.Errorf("nats.token: %w", err)
	}
	if n.URL != "" {
		d.nc, err = stream.Connect(stream.ConnectOptions{
			URL: n.URL, Creds: n.Credentials, NKey: n.NKey, User: n.User, Password: password, Token: token,
			CA: n.TLS.CA, Cert: n.TLS.Cert, Key: n.TLS.Key, Name: "erbd serve",
		})
		return err
	}
	encryption, err := serverTLS(n.ListenTLS)
	if err != nil {
		return fmt.Errorf("nats.listen_tls: %w", err)
	}
	if err := store.Check(n.Store); err != nil {
		return err
	}
	d.inventory = store.NewInventory(n.Store, d.log)
	if d.server, err = stream.StartEmbedded(stream.EmbeddedOptions{
		Opening: d.inventory.Inspect, Closed: d.inventory.Close,
		StoreDir: n.Store, Listen: n.Listen, Relaxed: !n.SyncAlways, MaxStore: int64(n.MaxStore), Logger: d.log,
		Token: token, User: n.User, Password: password, TLS: encryption,
	}); err != nil {
		return err
	}
	d.nc, err = d.server.Connect("erbd serve")
	return err
}

// serverTLS is the encryption of a server of this program, nil where there is none.
func serverTLS(pair config.KeyPair) (*tls.Config, error) {
	if !pair.IsSet() {
		return nil, nil
	}
	c, err := listen.LoadCertificate(pair.Cert, pair.Key)
	if err != nil {
		return nil, err
	}
	return c.Config(), nil
}

// prepare makes what a snapshot needs of JetStream, and removes the intake consumers of backends that are switched
// off, which would keep every event for ever.
func (d *Daemon) prepare(ctx context.Context, snap *Snapshot) error {
	if err := d.ensure(ctx, snap); err != nil {
		return err
	}
	stale, err := topology(snap).Stale(ctx, d.js)
	if err != nil {
		return err
	}
	for _, c := range stale {
		if c.Stream != stream.RawStream {
			if c.Pending > 0 {
				d.log.Warn("messages wait for a router that is not in the routers file", "consumer", c.Consumer, "messages", c.Pending)
			}
			continue
		}
		if err := c.Remove(ctx, d.js); err != nil {
			return err
		}
		d.log.Info("intake of a disabled backend removed", "consumer", c.Consumer, "messages", c.Pending)
	}
	return nil
}

// NATS is the address for clients of the embedded server, "" with an external one.
func (d *Daemon) NATS() string {
	if d.server == nil {
		return ""
	}
	return d.server.URL()
}

// HTTP is the address that the endpoint listens on, "" where it is off.
func (d *Daemon) HTTP() string {
	if d.listener == nil {
		return ""
	}
	return d.listener.Addr().String()
}

// Run serves until ctx ends. Then it stops taking messages, lets requests under way finish, acknowledges, and closes
// everything; that takes at most about twenty seconds. It may be called once.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.close()
	stages, stopStages := context.WithCancel(ctx)
	defer stopStages()
	delivery, stopDelivery := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDelivery()

	failures := make(chan error, 8)
	var wg sync.WaitGroup
	background := func(what string, run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				failures <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	snap, err := d.startLanes(delivery)
	if err != nil {
		stopDelivery()
		d.lanes.wait()
		return err
	}
	var stagesDone sync.WaitGroup
	for _, b := range snap.Backends {
		list, err := newStages(ctx, d, b.Name)
		if err != nil {
			stopStages()
			stagesDone.Wait()
			stopDelivery()
			d.lanes.wait()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		d.stages = append(d.stages, list...)
	}
	for _, s := range d.stages {
		stagesDone.Go(func() {
			if err := s.Run(stages); err != nil {
				failures <- err
			}
		})
	}
	backstop := stream.NewBackstop(d.nc, d.js, d.store, d.ledger, d.pub.Run, d.log)
	background("backstop", func() error { return backstop.Run(delivery) })
	background("routers", func() error { d.tend(delivery); return nil })
	if d.guard != nil {
		background("store", func() error { d.guard.Run(delivery); return nil })
		background("inventory", func() error { d.inventory.Run(delivery, d.js, d.storeDown); return nil })
	}
	server := &http.Server{
		Handler: d.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug), // scanners and broken lines
	}
	if d.listener != nil {
		background("http", func() error {
			if err := server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	d.ready.Store(true)
	d.log.Info("erbd serves", "nats", d.NATS(), "http", d.HTTP(), "backends", snap.backendNames(), "routers", len(snap.Routers.All()), "config", snap.Hash)

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-failures:
		d.log.Error("erbd stops", "error", failure)
	}
	d.ready.Store(false)
	d.log.Info("erbd drains")
	d.endReloads()
	stopStages()
	stagesDone.Wait()
	stopDelivery()
	d.lanes.wait()
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(shutdown); err != nil {
		server.Close() //nolint:errcheck // the answers that are left do not matter any more
	}
	wg.Wait()
	d.log.Info("erbd stopped")
	return failure
}

// startLanes starts the routers of the snapshot in force, and makes later reloads start theirs.
func (d *Daemon) startLanes(ctx context.Context) (*Snapshot, error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.runCtx.Store(&ctx)
	snap := d.snapshot.Load()
	if err := d.lanes.apply(ctx, snap); err != nil {
		return snap, err
	}
	return snap, d.lanes.drain(ctx, snap)
}

// inUse reports whether an event that is under way sees a snapshot with a router.
func (d *Daemon) inUse(k lane) bool {
	for _, s := range d.stages {
		if snap := s.using.Load(); s.backend == k.backend && snap != nil && wanted(snap, k) {
			return true
		}
	}
	return false
}

// tend stops the workers of removed routers once nothing waits for them.
func (d *Daemon) tend(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, 2*time.Second)
		// Nothing is known of what waits while the store is closed.
		d.hold(func() error { d.lanes.retire(ctx, d.inUse); return nil }) //nolint:errcheck // as above
	}
}

// close releases what New took. It can be called twice.
func (d *Daemon) close() {
	if d.listener != nil {
		d.listener.Close() //nolint:errcheck // closed by the server already
	}
	if d.inventory != nil && d.js != nil && !d.storeDown() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		d.inventory.Note(ctx, d.js)
		cancel()
	}
	if d.nc != nil {
		d.nc.Close()
	}
	if d.server != nil {
		if err := d.server.Close(); err != nil {
			d.log.Error("the embedded server did not stop well", "error", err)
		}
	}
	if err := d.logs.Close(); err != nil {
		d.log.Error("statement log", "error", err)
	}
	if d.tracing != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := d.tracing.close(ctx); err != nil {
			d.log.Warn("the last traces could not be sent", "error", err)
		}
	}
}

// ReopenLogs makes the next statement open the statement logs anew.
func (d *Daemon) ReopenLogs() { d.logs.Reopen() }
