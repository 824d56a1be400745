package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/failed"
	"github.com/erbd/erbd/engine/retry"
	"github.com/erbd/erbd/engine/route"
)

// What failed retry sends.
const (
	asStored    = "stored"
	asTransform = "transform"
)

type retryFlags struct {
	failedFilter
	all      bool
	as       string
	rate     rateFlag
	parallel int
	output   string
}

func newFailedRetryCmd(a *app) *cobra.Command {
	var f retryFlags
	cmd := &cobra.Command{
		Use:   "retry KEY… | --all",
		Short: "Send failed events again",
		Long: `retry sends failed events to their routers, as the routers file describes them
now, and removes each one when the record store has it. It can run beside a
daemon and beside another retry: an event is sent by one of them.

--as stored sends the statements as they are kept, --as transform makes them
anew from the original event with the mappings, look-ups and override_args of
now. A statement that was delivered before is then sent again, with the same id.

The exit code is 1 when an event is still undelivered, unless another retry is
sending it.`,
		Example: "  erbd failed retry xapi.lrs.2026-01-31.0a1b\n  erbd failed retry --all --router lrs --since 7d --rate 10/s",
		RunE:    func(cmd *cobra.Command, keys []string) error { return a.failedRetry(cmd.Context(), &f, keys) },
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "all events that the filters choose")
	flags.StringVar(&f.as, "as", asStored, "what to send: `stored` or transform")
	flags.Var(&f.rate, "rate", "at most `N` events a second: 10, 10/s or 600/m")
	flags.IntVar(&f.parallel, "parallel", 4, "`events` under way at once")
	flags.StringVar(&f.output, "output", "text", "form of the report: text or json")
	a.addSettings(cmd, "nats.url", "nats.listen", "routers", "mappings", "filters", "lookup.path", "lms.root_url")
	return cmd
}

func (f *retryFlags) check(keys []string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	switch {
	case f.as != asStored && f.as != asTransform:
		return cli.Misuse(fmt.Errorf("unknown --as %q", f.as), "use --as stored or --as transform")
	case f.parallel < 1 || f.parallel > 64:
		return cli.Misuse(errors.New("--parallel is 1 to 64"))
	case f.all && len(keys) > 0:
		return cli.Misuse(errors.New("keys and --all exclude each other"))
	case !f.all && len(keys) == 0:
		return cli.Misuse(errors.New("nothing says which events to send"), `name keys ("erbd failed list" shows them), or use --all, with filters if you like`)
	case len(keys) > 0 && f.isSet():
		return cli.Misuse(errors.New("filters go with --all, not with keys"))
	}
	return nil
}

func (a *app) failedRetry(ctx context.Context, f *retryFlags, args []string) error {
	if err := f.check(args); err != nil {
		return err
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	routers, err := a.loadRouters(s)
	if err != nil {
		return err
	}
	targets := newTargets(routers, s.Caliper.SensorID)
	defer targets.close()
	opt := retry.Options{Target: targets.get, Rate: f.rate.perSecond, Parallel: f.parallel}
	return a.withBucket(ctx, func(ctx context.Context, _ *bus, store *failed.Store) error {
		keys, err := retryKeys(ctx, store, f, args)
		unreadable := errors.Is(err, failed.ErrRecord)
		if err != nil && !unreadable {
			return err
		}
		foreign := err // of which nothing can be sent; the others are
		if f.as == asTransform {
			if opt.Make, err = a.remake(s, routers, keys); err != nil {
				return err
			}
		}
		report := retryReport{Outcomes: map[retry.Outcome]int{}, Undelivered: []retry.Result{}}
		opt.Report = func(r retry.Result) {
			if r.Outcome == retry.Delivered && r.Reason == "" {
				return
			}
			if report.Undelivered = append(report.Undelivered, r); f.output == "text" {
				fmt.Fprintf(a.stderr, "%s: %s: %s\n", r.Outcome, r.Key, safe(r.Reason))
			}
		}
		for outcome, n := range retry.Run(ctx, store, keys, opt) {
			report.Outcomes[outcome] = n
		}
		if err := a.writeRetry(f, &report, len(keys)); err != nil {
			return err
		}
		if err := report.verdict(ctx, len(args) > 0); err != nil || !unreadable {
			return err
		}
		return explainForeign(foreign)
	})
}

// retryKeys are the keys of the command line, or those that the filters choose, oldest first; with ErrRecord those of
// the records that can be read.
func retryKeys(ctx context.Context, store *failed.Store, f *retryFlags, args []string) (_ []failed.Key, foreign error) {
	if f.all {
		list, err := rows(ctx, store, f.filter())
		if err != nil && !errors.Is(err, failed.ErrRecord) {
			return nil, err
		}
		foreign = err
		for _, r := range list {
			args = append(args, r.Key)
		}
	}
	keys := make([]failed.Key, len(args))
	for i, arg := range args {
		var err error
		if keys[i], err = failed.ParseKey(arg); err != nil {
			return nil, cli.Fail(err, `"erbd failed list" shows the keys`)
		}
	}
	return keys, foreign
}

// retryReport is what failed retry did.
type retryReport struct {
	Outcomes    map[retry.Outcome]int `json:"outcomes"`
	Undelivered []retry.Result        `json:"undelivered"`
}

func (a *app) writeRetry(f *retryFlags, r *retryReport, events int) error {
	if f.output == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(r)
	}
	text := fmt.Sprintf("delivered %d of %s", r.Outcomes[retry.Delivered], cli.Plural(events, "failed event"))
	for _, o := range []retry.Outcome{retry.Left, retry.Skipped, retry.Failed, retry.Busy, retry.Gone} {
		if n := r.Outcomes[o]; n > 0 {
			text += fmt.Sprintf(", %s: %d", o, n)
		}
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}

func (r *retryReport) verdict(ctx context.Context, named bool) error {
	o := r.Outcomes
	undelivered := o[retry.Left] + o[retry.Skipped] + o[retry.Failed]
	switch {
	case ctx.Err() != nil && undelivered > 0:
		return cli.Fail(fmt.Errorf("interrupted: %s still in the bucket", cli.Plural(undelivered, "event")), "run the command again to send the rest")
	case undelivered > 0:
		return cli.Fail(fmt.Errorf("%s could not be delivered and stay in the bucket", cli.Plural(undelivered, "event")),
			`"erbd failed show KEY" shows what the record store answered`)
	case named && o[retry.Gone] > 0:
		return cli.Fail(fmt.Errorf("%w: %s", failed.ErrNotFound, r.first(retry.Gone)), `"erbd failed list" shows the keys`)
	}
	return nil
}

func (r *retryReport) first(o retry.Outcome) string {
	for _, res := range r.Undelivered {
		if res.Outcome == o {
			return res.Key
		}
	}
	return ""
}

// targets are the clients of routers, made when they are needed.
type targets struct {
	routers *route.Set
	sensor  string

	mu      sync.Mutex
	clients map[*route.Router]*deliver.Client
}

func newTargets(routers *route.Set, sensor string) *targets {
	return &targets{routers: routers, sensor: sensor, clients: map[*route.Router]*deliver.Client{}}
}

func (t *targets) get(backend, name string) (retry.Sender, time.Duration, error) {
	r := findRouter(t.routers, backend, name)
	if r == nil {
		return nil, 0, fmt.Errorf("%w: the routers file has no router %s for %s that is switched on", retry.ErrRouter, name, backend)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clients[r]
	if c == nil {
		var err error
		if c, err = deliver.New(r.Delivery(t.sensor)); err != nil {
			return nil, 0, fmt.Errorf("%w: %s: %w", retry.ErrRouter, r, err)
		}
		t.clients[r] = c
	}
	return c, r.Timeout, nil
}

func (t *targets) close() {
	for _, c := range t.clients {
		c.Close()
	}
}

func findRouter(set *route.Set, backend, name string) *route.Router {
	for _, r := range set.Backend(backend) {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// remake returns a function that makes the statements of keys anew with the mappings of now.
func (a *app) remake(s *config.Settings, routers *route.Set, keys []failed.Key) (func(context.Context, *failed.Record) ([]failed.Statement, error), error) {
	a.patience = lookupPatience
	directory, err := a.loadDirectory(s)
	if err != nil {
		return nil, err
	}
	limits := event.Limits{MaxBytes: int(s.Limits.EventBytes), MaxDepth: s.Limits.EventDepth}
	makers := map[string]*retry.Maker{}
	for _, key := range keys {
		backend := key.Backend
		if makers[backend] != nil || backend != backendXAPI && backend != backendCaliper {
			continue
		}
		set, err := a.loadMappings(s, backend, directory)
		if err != nil {
			return nil, err
		}
		var override func(string, []byte) ([]byte, error)
		if backend == backendXAPI { // those of Caliper are of the envelope
			override = func(router string, doc []byte) ([]byte, error) {
				if r := findRouter(routers, backend, router); r != nil {
					return r.Override(doc)
				}
				return doc, nil
			}
		}
		makers[backend] = retry.NewMaker(limits, set.NewWorker(), override)
	}
	return func(ctx context.Context, r *failed.Record) ([]failed.Statement, error) {
		m := makers[r.Backend]
		if m == nil {
			return nil, fmt.Errorf("%w: unknown backend", retry.ErrNotMade)
		}
		return m.Make(ctx, r)
	}, nil
}
