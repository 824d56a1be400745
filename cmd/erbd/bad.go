package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/stream"
)

func newFailedBadCmd(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "bad [NUMBER…]",
		Short: "List the messages that could not be read, or show what some of them hold",
		Long: `Messages that no event could be read from are kept aside, the oldest leaving
first when there is no more room. bad lists them with the reason; with numbers
it prints what those messages hold, which may be personal data.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			var numbers []uint64
			for _, arg := range args {
				n, err := strconv.ParseUint(arg, 10, 64)
				if err != nil {
					return cli.Misuse(fmt.Errorf("%q is no number of a message", arg), `"erbd failed bad" lists them`)
				}
				numbers = append(numbers, n)
			}
			return a.failedBad(cmd.Context(), numbers, output)
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "form: text or json")
	a.addSettings(cmd, "nats.url", "nats.listen")
	return cmd
}

// badRow is a message that was kept aside.
type badRow struct {
	Number  uint64    `json:"number"`
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"`
	Reason  string    `json:"reason"`
	Bytes   int       `json:"bytes"`
	Data    *string   `json:"data,omitempty"`
}

func (a *app) failedBad(ctx context.Context, numbers []uint64, output string) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	b, err := a.connect(ctx, s, "erbd failed")
	if err != nil {
		return err
	}
	defer b.close()
	list := []badRow{}
	missing := slices.Clone(numbers)
	for m, err := range stream.AllAside(ctx, b.js) {
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return cli.Fail(err, "erbd serve makes it: start it once with the same settings")
		}
		if err != nil {
			return err
		}
		row := badRow{Number: m.Sequence, Time: m.Time.UTC(), Subject: m.Origin, Reason: m.Reason, Bytes: len(m.Data)}
		if len(numbers) > 0 {
			if !slices.Contains(numbers, m.Sequence) {
				continue
			}
			missing = slices.DeleteFunc(missing, func(n uint64) bool { return n == m.Sequence })
			data := string(m.Data)
			row.Data = &data
		}
		list = append(list, row)
	}
	if err := writeBad(a.stdout, list, output); err != nil {
		return err
	}
	if len(missing) > 0 {
		return cli.Fail(fmt.Errorf("there is no message %d", missing[0]), `"erbd failed bad" lists them`)
	}
	return nil
}

func writeBad(w io.Writer, list []badRow, output string) error {
	if output == "json" {
		return writeArray(w, list)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(list) > 0 && list[0].Data == nil {
		fmt.Fprintln(t, "number\ttime\tsubject\tbytes\treason")
	}
	for _, r := range list {
		if r.Data != nil {
			fmt.Fprintf(w, "%d: %s: %s\n%s\n\n", r.Number, safe(r.Subject), safe(r.Reason), safeLines(*r.Data))
			continue
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%s\n", r.Number, r.Time.Format(time.RFC3339), safe(r.Subject), r.Bytes, safe(r.Reason))
	}
	if len(list) == 0 || list[0].Data == nil {
		fmt.Fprintf(t, "%s kept aside\n", cli.Plural(len(list), "message"))
	}
	return t.Flush()
}

// safeLines keeps a terminal safe from a text of any length.
func safeLines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && !(r >= 0x80 && r < 0xa0) {
			return r
		}
		return '\ufffd'
	}, s)
}
