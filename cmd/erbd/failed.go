package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/failed"
)

func newFailedCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failed",
		Short: "List, show, send again and remove critical events that could not be delivered",
		Long: `Critical events that a record store refused, or that used up their retries, are
kept in the NATS bucket ` + failed.Bucket + ` until they are sent again or removed. The
commands work beside a running daemon, and any number of them at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFailedListCmd(a), newFailedShowCmd(a), newFailedRetryCmd(a), newFailedPurgeCmd(a), newFailedBadCmd(a))
	return cmd
}

// failedFilter are the flags that choose events.
type failedFilter struct {
	backend, router, name string
	since, before         momentFlag
}

func (f *failedFilter) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.backend, "backend", "", "only events for xapi or caliper")
	flags.StringVar(&f.router, "router", "", "only events for the router of this `name`")
	flags.StringVar(&f.name, "name", "", "only events of this `name`")
	flags.Var(&f.since, "since", "only events last tried at or after this `time`: 2026-01-31, 2026-01-31T12:00:00Z, or 36h or 7d ago")
	flags.Var(&f.before, "before", "only events last tried before this `time`")
}

func (f *failedFilter) filter() failed.Filter {
	return failed.Filter{Backend: f.backend, Router: f.router, Name: f.name, Since: f.since.Time, Before: f.before.Time}
}

func (f *failedFilter) isSet() bool { return f.filter() != failed.Filter{} }

// withBucket calls f with the bucket of the daemon's server.
func (a *app) withBucket(ctx context.Context, f func(ctx context.Context, b *bus, store *failed.Store) error) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	b, err := a.connect(ctx, s, "erbd failed")
	if err != nil {
		return err
	}
	defer b.close()
	store, err := failed.Attach(ctx, b.js)
	if err != nil {
		return err
	}
	return f(ctx, b, store)
}

// failedRow is what a list shows of an event: nothing that it holds.
type failedRow struct {
	Key      string    `json:"key"`
	Backend  string    `json:"backend"`
	Router   string    `json:"router"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Attempts int       `json:"attempts"`
	Status   int       `json:"status,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	// Busy while a retry has it.
	Busy bool `json:"busy,omitempty"`
}

// rows reads the rows that a filter chooses, oldest first.
func rows(ctx context.Context, store *failed.Store, filter failed.Filter) ([]failedRow, error) {
	list := []failedRow{}
	err := store.Each(ctx, filter, func(e *failed.Entry) error {
		r := e.Record
		list = append(list, failedRow{
			Key: e.Key, Backend: r.Backend, Router: r.Router, ID: r.ID, Name: r.Name, Attempts: r.Attempts, Status: r.Status,
			Reason: r.Reason, First: r.First, Last: r.Last, Busy: r.Lease.After(time.Now()),
		})
		return nil
	})
	slices.SortFunc(list, func(x, y failedRow) int {
		if c := x.First.Compare(y.First); c != 0 {
			return c
		}
		return strings.Compare(x.Key, y.Key)
	})
	return list, err
}

func newFailedListCmd(a *app) *cobra.Command {
	var f failedFilter
	var output string
	var bad bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the failed events, oldest first, without what they hold",
		Example: "  erbd failed list --router lrs --since 7d\n  erbd failed list --output json | jq -r '.[].key'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if bad {
				if f.isSet() {
					return cli.Misuse(errors.New("--bad lists all messages and takes no filter"))
				}
				return a.failedBad(cmd.Context(), nil, output)
			}
			return a.withBucket(cmd.Context(), func(ctx context.Context, _ *bus, store *failed.Store) error {
				list, err := rows(ctx, store, f.filter())
				if err != nil && !errors.Is(err, failed.ErrRecord) {
					return err
				}
				write := writeRows
				if output == "json" {
					write = writeArray[failedRow]
				}
				return errors.Join(write(a.stdout, list), explainForeign(err))
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&bad, "bad", false, `list the messages that could not be read instead, as "erbd failed bad" does`)
	cmd.Flags().StringVar(&output, "output", "text", "form of the list: text or json")
	a.addSettings(cmd, "nats.url", "nats.listen")
	return cmd
}

// explainForeign adds hints to the error for what is no record.
func explainForeign(err error) error {
	if err == nil {
		return nil
	}
	return cli.Fail(err, "somebody else has put it into the bucket; the other failed events are not touched by it",
		`"erbd failed purge --all" removes it together with all others`)
}

func writeRows(w io.Writer, list []failedRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(list) > 0 {
		fmt.Fprintln(t, "key\tevent\trouter\tattempts\treason\tfirst\tlast")
	}
	for _, r := range list {
		reason := r.Reason
		if r.Busy {
			reason += " (being sent)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s/%s\t%d\t%s\t%s\t%s\n", r.Key, safe(r.Name), safe(r.Backend), safe(r.Router), r.Attempts, safe(reason),
			r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s\n", cli.Plural(len(list), "failed event"))
	return err
}

// writeArray writes a JSON list, an element a line.
func writeArray[T any](w io.Writer, list []T) error {
	var b bytes.Buffer
	b.WriteString("[")
	for i, x := range list {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(x); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteString("\n]\n")
	_, err := w.Write(b.Bytes())
	return err
}

func newFailedShowCmd(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "show KEY…",
		Short: "Show failed events with their statements and the record store's answer",
		Long: `show prints all that is known of failed events: the original event, the
statements, and the beginning of what the record store answered. They may hold
personal data.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, keys []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return a.withBucket(cmd.Context(), func(ctx context.Context, _ *bus, store *failed.Store) error {
				for _, key := range keys {
					e, err := store.Get(ctx, key)
					if errors.Is(err, failed.ErrNotFound) {
						return cli.Fail(err, `"erbd failed list" shows the keys`)
					}
					if err != nil {
						return err
					}
					if err := showRecord(a.stdout, e, output); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "form: text, or json, one object a line")
	a.addSettings(cmd, "nats.url", "nats.listen")
	return cmd
}

func showRecord(w io.Writer, e *failed.Entry, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(struct {
			Key string `json:"key"`
			failed.Record
		}{e.Key, e.Record})
	}
	r := e.Record
	var b bytes.Buffer
	for _, line := range [][2]string{
		{"key", e.Key}, {"event", safe(r.Name)}, {"router", safe(r.Backend + "/" + r.Router)}, {"id", safe(r.ID)},
		{"attempts", strconv.Itoa(r.Attempts)}, {"reason", safe(r.Reason)}, {"answer", safe(r.Answer)},
		{"first", r.First.UTC().Format(time.RFC3339)}, {"last", r.Last.UTC().Format(time.RFC3339)},
	} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%-9s %s\n", line[0]+":", line[1])
		}
	}
	if r.Lease.After(time.Now()) {
		fmt.Fprintf(&b, "%-9s until %s\n", "leased:", r.Lease.UTC().Format(time.RFC3339))
	}
	for _, s := range r.Statements {
		b.WriteString("statement:\n")
		indent(&b, s.JSON)
	}
	if len(r.Event) > 0 {
		b.WriteString("original event:\n")
		indent(&b, r.Event)
	}
	b.WriteString("\n")
	_, err := w.Write(b.Bytes())
	return err
}

// indent writes JSON for people.
func indent(b *bytes.Buffer, raw []byte) {
	b.WriteString("  ")
	if json.Indent(b, raw, "  ", "  ") != nil {
		b.Write(raw)
	}
	b.WriteByte('\n')
}

func newFailedPurgeCmd(a *app) *cobra.Command {
	var f failedFilter
	var older ageFlag
	var all, dry bool
	cmd := &cobra.Command{
		Use:   "purge --older-than AGE",
		Short: "Remove failed events for good",
		Long: `purge removes the failed events that the flags choose, for good. Those that a
retry has in its hands stay. The age is that of the last attempt.`,
		Example: "  erbd failed purge --older-than 30d\n  erbd failed purge --router old --all --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if older.age == 0 && !f.isSet() && !all {
				return cli.Misuse(errors.New("nothing says which events to remove"), "use --older-than 30d, a filter, or --all")
			}
			filter := f.filter()
			if limit := time.Now().Add(-older.age); older.age > 0 && (filter.Before.IsZero() || limit.Before(filter.Before)) {
				filter.Before = limit
			}
			return a.withBucket(cmd.Context(), func(ctx context.Context, _ *bus, store *failed.Store) error {
				if dry {
					list, err := rows(ctx, store, filter)
					if err != nil {
						return err
					}
					_, err = fmt.Fprintf(a.stdout, "would remove %s\n", cli.Plural(len(list), "failed event"))
					return err
				}
				n, err := store.Purge(ctx, filter)
				if _, writeErr := fmt.Fprintf(a.stdout, "removed %s\n", cli.Plural(n, "failed event")); err == nil {
					err = writeErr
				}
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Var(&older, "older-than", "events last tried longer than this `age` ago: 30d, 12h")
	cmd.Flags().BoolVar(&all, "all", false, "remove all that the filters leave, whatever their age")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only count them")
	a.addSettings(cmd, "nats.url", "nats.listen")
	return cmd
}
