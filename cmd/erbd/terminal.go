package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/erbd/erbd/engine/transform"
)

// isTerminal reports whether somebody sits at the other end.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// bar is a progress bar on a terminal. A nil bar does nothing.
type bar struct {
	w        io.Writer
	progress *transform.Progress
	size     int64
	start    time.Time
	done     chan struct{}
	ended    sync.WaitGroup
}

// startBar draws a bar until stop is called; size is what there is to read, 0
// if not known. It returns nil where w is no terminal.
func startBar(w io.Writer, progress *transform.Progress, size int64) *bar {
	if !isTerminal(w) {
		return nil
	}
	b := &bar{w: w, progress: progress, size: size, start: time.Now(), done: make(chan struct{})}
	b.ended.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(b.w, "\r\x1b[K%s", b.text(time.Since(b.start)))
			case <-b.done:
				fmt.Fprint(b.w, "\r\x1b[K")
				return
			}
		}
	})
	return b
}

// stop removes the bar and waits for its goroutine.
func (b *bar) stop() {
	if b == nil {
		return
	}
	close(b.done)
	b.ended.Wait()
}

func (b *bar) text(elapsed time.Duration) string {
	lines, read := b.progress.Lines.Load(), b.progress.Bytes.Load()
	seconds := max(elapsed.Seconds(), 0.001)
	s := fmt.Sprintf("%d lines  %.0f/s  %.1f MB", lines, float64(lines)/seconds, float64(read)/1e6)
	if b.size <= 0 {
		return s
	}
	share := min(float64(read)/float64(b.size), 1)
	const width = 24
	full := int(share * width)
	left := ""
	if share > 0.01 {
		left = "  " + (time.Duration(seconds/share*(1-share)) * time.Second).String() + " left"
	}
	return fmt.Sprintf("[%s%s] %3.0f %%  %s%s", strings.Repeat("=", full), strings.Repeat(" ", width-full), share*100, s, left)
}

// waiting reads from a stream that may keep a reader waiting for ever, such as
// a terminal: its Read returns when ctx is done or Close is called. A goroutine
// does the reading; if it waits then, it is left to the end of the process.
type waiting struct {
	ctx     context.Context // of the one command that reads
	asked   chan int        // sizes to read
	answers chan answer
	closed  chan struct{}
	close   sync.Once
	rest    []byte // belongs to the goroutine again when it is asked for more
	err     error
}

type answer struct {
	data []byte
	err  error
}

func newWaiting(ctx context.Context, src io.Reader) *waiting {
	w := &waiting{ctx: ctx, asked: make(chan int), answers: make(chan answer, 1), closed: make(chan struct{})}
	go func() {
		var buf []byte
		for {
			select {
			case size := <-w.asked:
				if cap(buf) < size {
					buf = make([]byte, size)
				}
				n, err := src.Read(buf[:size])
				w.answers <- answer{buf[:n], err}
			case <-w.closed:
				return
			}
		}
	}()
	return w
}

// Read implements io.Reader.
func (w *waiting) Read(p []byte) (int, error) {
	if len(w.rest) == 0 && w.err == nil {
		select {
		case w.asked <- max(len(p), 1):
		case <-w.closed:
			return 0, os.ErrClosed
		}
		select {
		case a := <-w.answers:
			w.rest, w.err = a.data, a.err
		case <-w.closed:
			w.err = os.ErrClosed
		case <-w.ctx.Done():
			w.err = w.ctx.Err()
		}
	}
	n := copy(p, w.rest)
	if w.rest = w.rest[n:]; len(w.rest) > 0 {
		return n, nil
	}
	return n, w.err
}

// Close implements io.Closer.
func (w *waiting) Close() error {
	w.close.Do(func() { close(w.closed) })
	return nil
}
