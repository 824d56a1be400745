package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/daemon"
	"github.com/erbd/erbd/engine/listen"
	"github.com/erbd/erbd/engine/store"
)

func newStatusCmd(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running daemon does: backends, routers, backlog, counters, last errors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.settings()
			if err != nil {
				return err
			}
			status, err := a.fetchStatus(cmd.Context(), s)
			if err != nil {
				return err
			}
			switch output {
			case "json":
				enc := json.NewEncoder(a.stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(status)
			case "text":
				return writeStatus(a.stdout, status)
			}
			return cli.Misuse(fmt.Errorf("unknown output %q", output), "use --output text or json")
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "`text` or json")
	a.addSettings(cmd, "http.listen")
	return cmd
}

// fetchStatus asks the daemon that listens on http.listen.
func (a *app) fetchStatus(ctx context.Context, s *config.Settings) (*daemon.Status, error) {
	hint := "is \"erbd serve\" running, and is http.listen the same for both?"
	if s.HTTP.Listen == config.Off {
		return nil, cli.Fail(fmt.Errorf("http.listen is off: there is nothing to ask"), hint)
	}
	visitor, err := daemon.Visitors(s.HTTP, a.lookupEnv)
	if err != nil {
		return nil, err
	}
	// The daemon is on this machine: no proxy stands between.
	transport, scheme := &http.Transport{DisableKeepAlives: true}, "http"
	if s.HTTP.TLS.IsSet() {
		scheme = "https"
		if transport.TLSClientConfig, err = listen.Pinned(s.HTTP.TLS.Cert); err != nil {
			return nil, fmt.Errorf("http.tls: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+reachable(s.HTTP.Listen)+"/status", nil)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	visitor.Authorize(req)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, cli.Fail(fmt.Errorf("no daemon answers at %s: %w", req.URL.Host, err), hint)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, cli.Fail(fmt.Errorf("the daemon at %s refuses the credentials", req.URL.Host), "http.token, or http.user and http.password, must be those that it was started with")
	}
	var status daemon.Status
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &status) != nil {
		return nil, cli.Fail(fmt.Errorf("what answers at %s is no erbd (%s)", s.HTTP.Listen, resp.Status), hint)
	}
	return &status, nil
}

func writeStatus(w io.Writer, s *daemon.Status) error {
	state := "ready"
	if !s.Ready {
		state = "not ready"
	}
	fmt.Fprintf(w, "%s since %s, configuration %s\n", state, s.Started.Format(time.RFC3339), s.Config)
	if s.Fault != "" {
		fmt.Fprintf(w, "a newer configuration is not used: %s\n", s.Fault)
	}
	if !s.Remembered.IsZero() {
		fmt.Fprintf(w, "in force is the configuration that worked at %s, remembered from before the start\n", s.Remembered.Format(time.RFC3339))
	}
	if len(s.Restart) > 0 {
		fmt.Fprintf(w, "changed settings that need a restart: %s\n", strings.Join(s.Restart, ", "))
	}
	if st := s.Store; st != nil && st.State != store.OK {
		fmt.Fprintf(w, "no event is accepted since %s: %s\n", st.Since.Format(time.RFC3339), st.Reason)
	}
	if s.Store != nil {
		for _, l := range s.Store.Losses {
			fmt.Fprintf(w, "damage of the store, found at %s: stream %s, messages lost (at most): %d: %s\n", l.At.Format(time.RFC3339), l.Stream, l.Messages, l.Reason)
		}
	}
	if l := s.Lookups; l != nil {
		state := "answers"
		if l.Error != "" {
			state = "is down, events wait for it: " + l.Error
		}
		fmt.Fprintf(w, "the source of users and courses %s; users kept: %d, courses kept: %d, questions: %d, failed: %d\n",
			state, l.Users.Entries, l.Courses.Entries, l.Users.Questions+l.Courses.Questions, l.Users.Failures+l.Courses.Failures)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nbackend\twaiting\toldest\taccepted\ttransformed\tfiltered\tunmapped\tunrouted\trejected\tinvalid")
	for _, b := range s.Backends {
		fmt.Fprintf(t, "%s\t%d\t%s\t%d", b.Name, b.Waiting, age(b.Oldest), b.Accepted)
		for _, end := range []string{"transformed", "filtered", "unmapped", "unrouted", "rejected", "invalid"} {
			fmt.Fprintf(t, "\t%d", b.Ends[end])
		}
		fmt.Fprintln(t)
	}
	if len(s.Routers) > 0 {
		fmt.Fprintln(t, "\nrouter\twaiting\toldest\trouted\tcarried\tdelivered\tduplicate\tkept\tdropped\topen\tretried\tstate")
	}
	for _, r := range s.Routers {
		state := "ok"
		switch {
		case r.Paused != "":
			state = "paused: " + r.Paused
		case r.LastError != "":
			state = "last error " + r.LastError + " at " + r.LastErrorAt.Format(time.TimeOnly)
		}
		if r.Removed {
			state = "removed, draining; " + state
		}
		fmt.Fprintf(t, "%s/%s\t%d\t%s\t%d\t%d", r.Backend, r.Name, r.Waiting, age(r.Oldest), r.Routed, r.Carried)
		for _, outcome := range []string{"delivered", "duplicate", "kept", "dropped"} {
			fmt.Fprintf(t, "\t%d", r.Settled[outcome])
		}
		fmt.Fprintf(t, "\t%d\t%d\t%s\n", r.Open, r.Retried, state)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, b := range s.Backends {
		for _, field := range slices.SortedFunc(maps.Keys(b.Rejected), func(x, y string) int { return int(b.Rejected[y]) - int(b.Rejected[x]) }) {
			fmt.Fprintf(w, "rejected for %s: %d × %s\n", b.Name, b.Rejected[field], field)
		}
	}
	agree := "the counters agree"
	if !s.Agree {
		agree = "the counters do not agree: events are under way, or something is wrong"
	}
	_, err := fmt.Fprintf(w, "\nfailed events kept: %d, unreadable messages kept aside: %d; %s\n", s.Failed, s.Aside, agree)
	return err
}

func age(seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return strings.TrimSuffix(time.Duration(seconds*float64(time.Second)).Round(time.Second).String(), "0s")
}
