package follow

import (
	"bytes"
	"errors"
	"io"
)

const (
	// chunk is how much is read at once.
	chunk = 256 << 10
	// headSize is how many first bytes tell a file from another one.
	headSize = 1 << 10
)

// line is a line of a file and the bytes that it covers, its end included.
type line struct {
	data       []byte
	start, end int64
	// tooLong: it is over the limit, and data is empty.
	tooLong bool
}

// lines cuts a file that grows into lines. Reading goes on after the end when there is more.
type lines struct {
	r   io.Reader
	max int

	buf      []byte // read, and not cut yet
	searched int    // so much of it has no line end
	at       int64  // where buf begins in the file
	start    int64  // where the line begins, before at while a long one is skipped
	skipping bool
	head     []byte // the first bytes of the file
}

// newLines reads from a file that is at an offset and began with head.
func newLines(r io.Reader, offset int64, head []byte, longest int) *lines {
	return &lines{r: r, max: longest, at: offset, start: offset, head: bytes.Clone(head)}
}

// pos is how far the file has been read.
func (l *lines) pos() int64 { return l.at + int64(len(l.buf)) }

// next returns the next whole line, or false when there is none yet. final: what is left is a line though it has no
// end. Lines stay valid.
func (l *lines) next(final bool) (line, bool, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.searched:], '\n'); i >= 0 {
			return l.cut(l.searched + i + 1), true, nil
		}
		if l.searched = len(l.buf); l.skipping || l.searched > l.max+1 { // one more for the CR of a CRLF
			l.skipping = true
			l.at, l.buf, l.searched = l.pos(), l.buf[len(l.buf):], 0
		}
		n, err := l.fill()
		switch {
		case n > 0:
		case err != nil && !errors.Is(err, io.EOF):
			return line{}, false, err
		case final && l.pos() > l.start:
			return l.cut(len(l.buf)), true, nil
		default:
			return line{}, false, nil
		}
	}
}

// cut takes the first n bytes as a line.
func (l *lines) cut(n int) line {
	out := line{start: l.start, end: l.at + int64(n), tooLong: l.skipping}
	if !l.skipping {
		out.data = bytes.TrimRight(l.buf[:n:n], "\r\n")
	}
	l.at, l.buf, l.searched, l.skipping = out.end, l.buf[n:], 0, false
	l.start = out.end
	return out
}

// fill reads some more.
func (l *lines) fill() (int, error) {
	if room := cap(l.buf) - len(l.buf); room < 4<<10 {
		l.buf = append(make([]byte, 0, max(chunk, 2*len(l.buf))), l.buf...) // lines that were cut keep the old one
	}
	n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
	if n > 0 {
		if from := l.pos(); from == int64(len(l.head)) && from < headSize {
			l.head = append(l.head, l.buf[len(l.buf):len(l.buf)+min(n, headSize-int(from))]...)
		}
		l.buf = l.buf[:len(l.buf)+n]
	}
	return n, err
}
