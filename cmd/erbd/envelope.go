package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/transform"
)

// wrapFunc appends the envelope of some events.
type wrapFunc func(dst []byte, events [][]byte) []byte

// checkEnvelope looks for flags that do not go with --envelope.
func (f *transformFlags) checkEnvelope() error {
	switch {
	case !f.envelope:
		return nil
	case f.backend != backendCaliper:
		return cli.Misuse(errors.New("only Caliper events have envelopes"), "use --backend caliper with --envelope")
	case f.outcomes:
		return cli.Misuse(errors.New("--envelope and --outcomes exclude each other"), "leave one of them out")
	case f.batch < 1:
		return cli.Misuse(errors.New("--batch must be at least 1"))
	}
	return nil
}

// wrapper returns what makes envelopes, nil where none are asked for.
func (f *transformFlags) wrapper(s *config.Settings) (wrapFunc, error) {
	if !f.envelope {
		return nil, nil
	}
	envelope, err := deliver.NewEnvelope(s.Caliper.SensorID, nil)
	if err != nil {
		return nil, err
	}
	var items []deliver.Item
	return func(dst []byte, events [][]byte) []byte {
		items = items[:0]
		for _, event := range events {
			items = append(items, deliver.Item{JSON: event})
		}
		return envelope.Append(dst, items, time.Now())
	}, nil
}

// runTo transforms to out, through wrap unless it is nil.
func runTo(ctx context.Context, out io.Writer, batch int, wrap wrapFunc, inputs []transform.Input, opt transform.Options) (*transform.Summary, error) {
	if wrap == nil {
		return transform.Run(ctx, inputs, out, opt)
	}
	batches := transform.NewBatches(out, batch, wrap)
	summary, err := transform.Run(ctx, inputs, batches, opt)
	if err == nil {
		if err = batches.Flush(); err != nil {
			err = fmt.Errorf("write output: %w", err)
		}
	}
	return summary, err
}
