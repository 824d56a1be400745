package event

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/gzip"
)

// Block is some whole lines of a log.
type Block struct {
	// First is the number of the first line, counted from 1.
	First int64
	// Count is how many lines there are; an empty line is one, what follows
	// the last line end of the log is one only if it is not empty.
	Count int64
	// Oversized is set for one line that is longer than the reader's limit.
	// It was skipped: Data is empty and Count is 1.
	Oversized bool
	// Data holds the lines with their ends. It is the caller's buffer.
	Data []byte
}

// Lines returns number and bytes of each line, without its end (LF or CRLF).
// An oversized block has none.
func (b Block) Lines() iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		data := b.Data
		for n := b.First; len(data) > 0; n++ {
			line := data
			if i := bytes.IndexByte(data, '\n'); i >= 0 {
				line, data = data[:i], data[i+1:]
			} else {
				data = nil
			}
			if len(line) > 0 && line[len(line)-1] == '\r' {
				line = line[:len(line)-1]
			}
			if !yield(n, line) {
				return
			}
		}
	}
}

// Reader reads a log, plain or compressed with gzip (also of several members,
// as rotated logs that were joined), in blocks of whole lines. It holds no
// more than a block and the start of the next line. Not for concurrent use.
type Reader struct {
	source    io.Reader
	src       io.Reader // source, decompressed; nil before the first read
	gzip      bool
	maxLine   int
	blockSize int
	rest      []byte // start of a line whose end was not read yet
	next      int64
	err       error // what reading ended with: a bare io.EOF, or a fault
}

const defaultBlockSize = 256 << 10

// NewReader returns a reader that skips lines longer than maxLine bytes (0:
// DefaultLimits.MaxBytes), except such as a block has room for, which it leaves
// to the parser to refuse, and aims at blocks of blockSize bytes (0: 256 KiB).
// From a pipe or terminal smaller blocks come as soon as they hold a whole
// line. The reader does not close r.
func NewReader(r io.Reader, maxLine, blockSize int) *Reader {
	if maxLine <= 0 {
		maxLine = DefaultLimits.MaxBytes
	}
	if blockSize <= 0 {
		blockSize = defaultBlockSize
	}
	return &Reader{source: r, maxLine: maxLine, blockSize: blockSize, next: 1}
}

// Read returns the next block, using the memory of buf for its data, which it
// enlarges where needed. It returns io.EOF after the last block. Any other
// error is one of the source or of its compression and wraps it; all whole
// lines before the fault have been returned then. Errors are final.
func (r *Reader) Read(buf []byte) (Block, error) {
	if r.src == nil && r.err == nil {
		r.open()
	}
	buf = append(buf[:0], r.rest...)
	r.rest = r.rest[:0]
	for searched := 0; ; {
		if bytes.IndexByte(buf[searched:], '\n') >= 0 {
			break
		}
		if searched = len(buf); searched > r.maxLine+1 { // one more for the CR of a CRLF
			buf = r.skip(buf)
			return r.block(Block{Oversized: true, Count: 1, Data: buf[:0]}), nil
		}
		if r.err != nil {
			break
		}
		buf = r.fill(buf)
	}
	end := bytes.LastIndexByte(buf, '\n') + 1
	if r.err == io.EOF { // a wrapped one would be a fault
		end = len(buf) // the last line needs no end
	}
	if end == 0 {
		return Block{}, r.end()
	}
	r.rest = append(r.rest, buf[end:]...)
	data := buf[:end]
	count := int64(bytes.Count(data, []byte{'\n'}))
	if data[end-1] != '\n' {
		count++
	}
	return r.block(Block{Count: count, Data: data}), nil
}

func (r *Reader) block(b Block) Block {
	b.First = r.next
	r.next += b.Count
	return b
}

// open looks at the first bytes of the source.
func (r *Reader) open() {
	head := bufio.NewReaderSize(r.source, 64<<10)
	magic, err := head.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
		return
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		r.src = head
		return
	}
	unzipped, err := gzip.NewReader(head)
	r.gzip = true
	if err != nil {
		if errors.Is(err, io.EOF) { // within the header
			err = io.ErrUnexpectedEOF
		}
		r.err = err
		return
	}
	r.src = unzipped
}

// fill reads into the free room of buf, making some where there is none. It
// waits for a full block only where that cannot hold up a line: behind gzip.
func (r *Reader) fill(buf []byte) []byte {
	if cap(buf) < r.blockSize {
		buf = append(make([]byte, 0, r.blockSize), buf...)
	} else if len(buf) == cap(buf) {
		buf = append(make([]byte, 0, 2*cap(buf)), buf...)
	}
	idle := 0
	for {
		n, err := r.src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n > 0 {
			idle = 0
		} else if idle++; err == nil && idle > 100 {
			err = io.ErrNoProgress
		}
		if err != nil {
			r.err = err
			return buf
		}
		if n > 0 && (!r.gzip || len(buf) == cap(buf)) {
			return buf
		}
	}
}

// skip drops the rest of a line that is too long; buf holds its start and is
// used for reading on.
func (r *Reader) skip(buf []byte) []byte {
	for r.err == nil {
		buf = r.fill(buf[:0])
		if i := bytes.IndexByte(buf, '\n'); i >= 0 {
			r.rest = append(r.rest, buf[i+1:]...)
			return buf
		}
	}
	return buf
}

// end returns how reading ended, after all lines were returned.
func (r *Reader) end() error {
	switch {
	case r.err == io.EOF: // a wrapped one would be a fault
		return io.EOF
	case r.gzip:
		return fmt.Errorf("decompress gzip after line %d: %w", r.next-1, r.err)
	}
	return fmt.Errorf("read after line %d: %w", r.next-1, r.err)
}
