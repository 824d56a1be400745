package transform

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/erbd/erbd/engine/event"
)

// stream carries the blocks of one input, at last its fault if it has one.
type stream struct {
	input  string
	blocks chan block
}

type block struct {
	event.Block
	data *[]byte
	err  error
}

// dispatch opens the inputs, some ahead, and hands out their blocks in order.
// It returns when all readers have ended.
func (p *pipeline) dispatch(ctx context.Context, inputs []Input) {
	defer close(p.work)
	defer close(p.ordered)
	var readers sync.WaitGroup
	defer readers.Wait()

	streams := make(chan *stream, readAhead)
	open := make(chan struct{}, readAhead) // one token per open input
	readers.Go(func() {
		defer close(streams)
		for _, in := range inputs {
			select {
			case open <- struct{}{}:
			case <-ctx.Done():
				return
			}
			s := &stream{input: in.Name, blocks: make(chan block, blocksAhead)}
			readers.Go(func() { p.read(ctx, in, s) })
			streams <- s // has room for all open inputs
		}
	})
	for s := range streams {
		for b := range s.blocks {
			if ctx.Err() != nil {
				continue // only empty the stream
			}
			j := p.newJob()
			j.input, j.block, j.data, j.err = s.input, b.Block, b.data, b.err
			select {
			case p.ordered <- j:
				p.work <- j // write awaits it now, so it must be done
			case <-ctx.Done():
			}
		}
		<-open
	}
	p.complete = ctx.Err() == nil
}

// read cuts one input into blocks.
func (p *pipeline) read(ctx context.Context, in Input, s *stream) {
	defer close(s.blocks)
	send := func(b block) bool {
		select {
		case s.blocks <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	src, err := in.Open()
	if err != nil {
		send(block{err: err})
		return
	}
	defer src.Close()
	// A read that waits for a pipe ends when its file is closed.
	defer context.AfterFunc(ctx, func() { _ = src.Close() })()

	r := event.NewReader(counted{src, &p.opt.Progress.Bytes}, p.opt.Limits.MaxBytes, p.opt.BlockSize)
	for ctx.Err() == nil {
		data, ok := p.blocks.Get().(*[]byte)
		if !ok {
			data = new([]byte)
		}
		b, err := r.Read(*data)
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			if ctx.Err() == nil {
				send(block{err: err})
			}
			return
		}
		*data = b.Data
		if !send(block{Block: b, data: data}) {
			return
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
