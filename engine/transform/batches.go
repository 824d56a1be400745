package transform

import (
	"bytes"
	"io"
)

// Batches is an output for [Run] that writes one line for every few statements, such as a Caliper envelope that
// carries them. It belongs to one goroutine.
type Batches struct {
	out  io.Writer
	size int
	wrap func(dst []byte, statements [][]byte) []byte

	pending []byte // lines of the batch so far
	lines   [][]byte
	ends    []int
	line    []byte
}

// NewBatches returns an output that hands size statements at a time to wrap and writes what it appends, as a line, to
// out. The slices are valid during the call only.
func NewBatches(out io.Writer, size int, wrap func(dst []byte, statements [][]byte) []byte) *Batches {
	return &Batches{out: out, size: size, wrap: wrap}
}

// Write takes lines, each a statement.
func (b *Batches) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n')
		if n < 0 {
			b.pending = append(b.pending, rest...)
			break
		}
		b.pending = append(b.pending, rest[:n]...)
		b.ends = append(b.ends, len(b.pending))
		rest = rest[n+1:]
		if len(b.ends) == b.size {
			if err := b.Flush(); err != nil {
				return len(p) - len(rest), err
			}
		}
	}
	return len(p), nil
}

// Flush writes the statements that do not fill a batch, if there are any. Call it after Run.
func (b *Batches) Flush() error {
	if len(b.ends) == 0 {
		return nil
	}
	b.lines = b.lines[:0]
	start := 0
	for _, end := range b.ends {
		b.lines = append(b.lines, b.pending[start:end])
		start = end
	}
	b.line = append(b.wrap(b.line[:0], b.lines), '\n')
	_, err := b.out.Write(b.line)
	b.pending, b.ends = append(b.pending[:0], b.pending[start:]...), b.ends[:0]
	if cap(b.pending) > maxRecycled && len(b.pending) == 0 {
		b.pending = nil
	}
	if cap(b.line) > maxRecycled {
		b.line = nil
	}
	return err
}
