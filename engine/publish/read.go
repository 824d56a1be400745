package publish

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/transform"
)

// block is some lines of an input, or its fault.
type block struct {
	event.Block
	input int
	err   error
}

// read sends the inputs' blocks, in order, and closes the channel. It ends early with ctx, a child of caller: inputs
// may give the end of caller as their error before ctx has ended too.
func read(caller, ctx context.Context, inputs []transform.Input, opt Options, blocks chan<- block) {
	defer close(blocks)
	send := func(b block) bool {
		select {
		case blocks <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for i, in := range inputs {
		if ctx.Err() != nil || !readOne(caller, ctx, i, in, opt, send) {
			return
		}
	}
}

func readOne(caller, ctx context.Context, i int, in transform.Input, opt Options, send func(block) bool) bool {
	src, err := in.Open()
	if err != nil {
		return send(block{input: i, err: err})
	}
	defer src.Close()
	// A read that waits for a pipe ends when its file is closed.
	defer context.AfterFunc(ctx, func() { _ = src.Close() })()
	r := event.NewReader(counted{src, &opt.Progress.Bytes}, opt.Limits.MaxBytes, 0)
	for {
		b, err := r.Read(nil) // its own buffer: lines are kept until they are packed
		switch {
		case errors.Is(err, io.EOF):
			return true
		case err != nil && caller.Err() != nil:
			<-ctx.Done()
			return false
		case err != nil:
			return ctx.Err() == nil && send(block{input: i, err: err})
		case !send(block{Block: b, input: i}):
			return false
		}
	}
}

// counted counts the bytes read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
