package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/sink"
)

type sinkFlags struct {
	listen     string
	quiet      bool
	json       bool
	cut        string
	duplicates int
	rules      []string
	user       string
	opt        sink.Options
}

func newSinkCmd(a *app) *cobra.Command {
	var f sinkFlags
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Receive statements like a record store, for tests and demonstrations",
		Long: `sink listens for xAPI statements (POST …/statements) and Caliper envelopes (POST
to any other path), checks them, prints a line for each statement, counts, and
keeps nothing but their ids. GET /counts returns the counts as JSON.

It can fail as it is told. The share --fail-rate of the requests fails, or the
first --fail-first, or all where only --fail or --cut is given; a failing
request is answered with --fail (503) or loses its connection (--cut).`,
		Example: `  erbd sink
  erbd sink --fail-rate 0.1 --fail 429 --retry-after 2s --seed 1
  erbd sink --status-for 'problem_check=400' --duplicates 409`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.sink(cmd.Context(), &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8081", "`address` to listen on; port 0 is a free one")
	flags.BoolVar(&f.quiet, "quiet", false, "print no statements")
	flags.BoolVar(&f.json, "json", false, "print the statements themselves, one JSON object a line")
	flags.IntVar(&f.opt.Fail, "fail", 0, "`status` of failing requests")
	flags.Float64Var(&f.opt.Rate, "fail-rate", 0, "`share` of requests that fail, 0 to 1")
	flags.Int64Var(&f.opt.First, "fail-first", 0, "the first `N` requests fail")
	flags.DurationVar(&f.opt.RetryAfter, "retry-after", 0, "failing answers ask to wait this `time`")
	flags.DurationVar(&f.opt.Delay, "delay", 0, "`time` before each answer")
	flags.StringArrayVar(&f.rules, "status-for", nil, "answer requests with a statement that matches: `REGEX=CODE`; repeatable")
	flags.StringVar(&f.cut, "cut", "", "close the connection of a failing request `before` or after its statements are taken")
	flags.Lookup("cut").NoOptDefVal = "before"
	flags.Uint64Var(&f.opt.Seed, "seed", 0, "`number` that makes --fail-rate repeatable")
	flags.IntVar(&f.duplicates, "duplicates", http.StatusOK, "answer to a statement that is known already: 200, or 409 as some record stores do")
	flags.StringVar(&f.user, "user", "", "ask for `name:password` (basic)")
	return cmd
}

func (a *app) sink(ctx context.Context, f *sinkFlags) error {
	if f.duplicates != http.StatusOK && f.duplicates != http.StatusConflict {
		return cli.Misuse(fmt.Errorf("--duplicates is 200 or 409, not %d", f.duplicates))
	}
	f.opt.RefuseKnown = f.duplicates == http.StatusConflict
	var err error
	if f.opt.Cut, err = sink.ParseCut(f.cut); err != nil {
		return cli.Misuse(err)
	}
	for _, r := range f.rules {
		rule, err := sink.ParseRule(r)
		if err != nil {
			return cli.Misuse(fmt.Errorf("--status-for: %w", err), "write it as 'problem_check=400'")
		}
		f.opt.Rules = append(f.opt.Rules, rule)
	}
	if f.user != "" {
		var ok bool
		if f.opt.User, f.opt.Password, ok = strings.Cut(f.user, ":"); !ok || f.opt.User == "" {
			return cli.Misuse(errors.New("--user is name:password"))
		}
	}
	out := bufio.NewWriter(a.stdout)
	var wrote sync.Once // the first failure of out
	failed := make(chan error, 1)
	if !f.quiet {
		f.opt.Observe = func(st sink.Statement) { // one at a time
			line := sinkLine(st)
			if f.json {
				line = compact(st.JSON)
			}
			if _, err := fmt.Fprintln(out, line); err == nil {
				err = out.Flush()
				if err == nil {
					return
				}
			}
			wrote.Do(func() { failed <- errors.New("cannot write the statements any more") })
		}
	}
	s, err := sink.New(f.opt)
	if err != nil {
		return cli.Misuse(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return cli.Fail(err, "choose another address: --listen 127.0.0.1:0")
	}
	fmt.Fprintf(a.stderr, "erbd: sink listens on http://%s\n", listener.Addr())
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case err = <-failed:
	case <-ctx.Done():
		err = nil
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(stop) != nil {
		_ = server.Close()
	}
	counts := s.Counts()
	fmt.Fprintf(a.stderr, "erbd: sink took %d statements in %d requests: %d unique, %d duplicates\n", counts.Statements, counts.Requests, counts.Unique, counts.Duplicates)
	return err
}

// sinkLine tells people what a statement says: it leaves the actor out.
func sinkLine(st sink.Statement) string {
	verb := gjson.GetBytes(st.JSON, "verb.id").Str
	verb = verb[strings.LastIndexByte(strings.TrimRight(verb, "/"), '/')+1:]
	if st.Backend == backendCaliper {
		verb = gjson.GetBytes(st.JSON, "type").Str + " " + gjson.GetBytes(st.JSON, "action").Str
	}
	object := gjson.GetBytes(st.JSON, "object.id")
	if object.Str == "" {
		object = gjson.GetBytes(st.JSON, "object")
	}
	line := strings.Join([]string{st.Backend, st.ID, safe(verb), safe(object.Str)}, " ")
	if st.Duplicate {
		line += " (duplicate)"
	}
	return line
}

// safe keeps a terminal safe from texts that came over the network.
func safe(s string) string {
	const limit = 300
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// compact is JSON on one line.
func compact(raw json.RawMessage) string {
	var b strings.Builder
	for part := range strings.Lines(string(raw)) { // line breaks stand between tokens only
		b.WriteString(strings.Trim(part, "\r\n"))
	}
	return b.String()
}
