package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/lookup/kv"
	"github.com/erbd/erbd/engine/lookup/mysql"
	"github.com/erbd/erbd/engine/stream"
)

// lookupPatience is how long a command tries a look-up on a server that fails,
// where there is no later for an event.
const lookupPatience = time.Minute

func newLookupCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lookup",
		Short: "Work with the users and courses that events are looked up in",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newLookupLoadCmd(a),
		newLookupShowCmd(a, "user", "ID|USERNAME", "Show a user as events see it", func(ctx context.Context, d *lookup.Directory, key string) ([]byte, error) {
			u, err := d.User(ctx, key)
			if err != nil {
				return nil, err
			}
			return lookup.MarshalUser(u)
		}),
		newLookupShowCmd(a, "course", "ID", "Show a course as events see it", func(ctx context.Context, d *lookup.Directory, id string) ([]byte, error) {
			c, err := d.Course(ctx, id)
			if err != nil {
				return nil, err
			}
			return lookup.MarshalCourse(c)
		}),
	)
	return cmd
}

func newLookupLoadCmd(a *app) *cobra.Command {
	var output string
	var prune bool
	cmd := &cobra.Command{
		Use:   "load FILE",
		Short: "Put users and courses into the NATS buckets",
		Long: `load reads users and courses from a JSON, YAML or CSV file, or from a folder with
users.csv and courses.csv, and writes them into the buckets that lookup.type
nats reads: on the servers of nats.url, or on the embedded server of a running
daemon. What the buckets have already is not written again. A running daemon
sees new and changed users at once.

Users and courses that are not in the file stay, unless --prune is given.`,
		Example: "  erbd lookup load lms.json\n  erbd lookup load --prune export/",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.lookupLoad(cmd.Context(), args[0], prune, output)
		},
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "delete users and courses that are not in the file")
	cmd.Flags().StringVar(&output, "output", "text", "form of the summary: text or json")
	a.addSettings(cmd, "nats.url", "nats.listen", "lookup.users_bucket", "lookup.courses_bucket")
	return cmd
}

func (a *app) lookupLoad(ctx context.Context, path string, prune bool, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	table, err := loadTable(path)
	if err != nil {
		return err
	}
	users, courses := table.Len()
	if prune && users+courses == 0 {
		return cli.Fail(fmt.Errorf("%s holds nobody, so --prune would delete all", path), "name the right file, or leave --prune out")
	}
	b, err := a.connect(ctx, s, "erbd lookup load")
	if err != nil {
		return err
	}
	defer b.close()
	var done atomic.Int64
	stop := a.count(&done, "records")
	n, err := kv.Load(ctx, b.js, table, kv.LoadOptions{
		Buckets:  kv.Buckets{Users: s.Lookup.UsersBucket, Courses: s.Lookup.CoursesBucket, Replicas: s.NATS.Replicas},
		Prune:    prune,
		Progress: &done,
	})
	stop()
	if err != nil {
		return cli.Fail(err, "run the command again to load the rest: what is there is not written again")
	}
	if output == "json" {
		return json.NewEncoder(a.stdout).Encode(map[string]int{
			"users": users, "courses": courses, "written": n.Written, "unchanged": n.Unchanged, "deleted": n.Deleted,
		})
	}
	_, err = fmt.Fprintf(a.stdout, "loaded %d users and %d courses: %d records written, %d unchanged, %d deleted\n", users, courses, n.Written, n.Unchanged, n.Deleted)
	return err
}

// count shows a growing number where standard error is a terminal, until stop is called.
func (a *app) count(n *atomic.Int64, what string) (stop func()) {
	if !isTerminal(a.stderr) {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(a.stderr, "\r\x1b[K%d %s", n.Load(), what)
			case <-done:
				fmt.Fprint(a.stderr, "\r\x1b[K")
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func newLookupShowCmd(a *app, name, arg, short string, show func(context.Context, *lookup.Directory, string) ([]byte, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name + " " + arg,
		Short: short,
		Long: short + `: what the source and the policies of the settings make of it, as one line of
JSON. The exit code is 1 where an event would be rejected or have to wait.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.settings()
			if err != nil {
				return err
			}
			d, err := a.loadDirectory(s)
			if err != nil {
				return err
			}
			if err := a.checkLookups(cmd.Context()); err != nil {
				return err
			}
			line, err := show(cmd.Context(), d, args[0])
			if err != nil {
				return explainLookup(err)
			}
			_, err = fmt.Fprintf(a.stdout, "%s\n", line)
			return err
		},
	}
	a.addSettings(cmd, "lookup.type", "lookup.path", "lookup.dsn", "nats.url", "nats.listen")
	return cmd
}

// checkLookups sees that the server of the look-ups answers, if there is one.
func (a *app) checkLookups(ctx context.Context) error {
	src := a.sources.Current()
	if src == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	return explainLookup(src.Check(ctx))
}

// explainLookup adds hints to errors of look-ups.
func explainLookup(err error) error {
	var f *cli.Failure
	switch {
	case err == nil, errors.As(err, &f):
		return err
	case errors.Is(err, kv.ErrNoBucket):
		return cli.Fail(err, `"erbd lookup load FILE" makes and fills the buckets`)
	case errors.Is(err, mysql.ErrSchema):
		return cli.Fail(err, "check user, password and data base of lookup.dsn",
			"the account needs SELECT on auth_user, external_user_ids_externalid, external_user_ids_externalidtype and course_overviews_courseoverview")
	case errors.Is(err, lookup.ErrUnknownUser), errors.Is(err, lookup.ErrUnknownCourse), errors.Is(err, lookup.ErrBadCourseID):
		return err
	}
	return fmt.Errorf("look-ups: %w", err)
}

// connectLookups connects to the message server for look-ups.
func (a *app) connectLookups(s *config.Settings) (*nats.Conn, error) {
	opt, err := a.connectOptions(s, "erbd look-ups")
	if err != nil {
		return nil, err
	}
	nc, err := stream.Connect(opt)
	if err != nil {
		return nil, unreachable(s, err)
	}
	return nc, nil
}

// lookupHealth tells the user of a command that waits for a server.
func (a *app) lookupHealth(err error) {
	switch {
	case a.patience == 0: // the daemon says so itself
	case err != nil:
		fmt.Fprintf(a.stderr, "erbd: look-ups fail, they are tried for %s: %v\n", a.patience, err)
	default:
		fmt.Fprintln(a.stderr, "erbd: look-ups work again")
	}
}
