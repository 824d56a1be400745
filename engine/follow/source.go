package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
)

// fingerprint tells a file by its first bytes without holding them.
type fingerprint struct {
	Length int    `json:"length"`
	Sum    string `json:"sha256,omitempty"`
}

func fingerprintOf(head []byte, upTo int64) fingerprint {
	head = head[:min(int64(len(head)), upTo)]
	if len(head) == 0 {
		return fingerprint{}
	}
	sum := sha256.Sum256(head)
	return fingerprint{Length: len(head), Sum: hex.EncodeToString(sum[:])}
}

// of reports whether a file that begins with head may be this one. Where nothing was taken of a file, any may.
func (p fingerprint) of(head []byte) bool {
	return len(head) >= p.Length && fingerprintOf(head, int64(p.Length)) == p
}

// source is a file that is read: the log itself, or one that was it.
type source struct {
	// id names the content: no other file that was or will be followed has it.
	id   string
	path string // where it was found, for messages
	file *os.File
	info fs.FileInfo // of the open file
	text io.Reader   // what the file holds: the file itself, or what is compressed in it
	// moved: it is not the log any more and ends when it is silent. still: nothing is added to it, it ends at its end.
	moved, still bool

	lines *lines
	done  int64   // bytes that are acknowledged or hold nothing to send
	plan  []int64 // the ends of the messages that may be stored already
	grown time.Time
	fault string // of reading, said already
}

// newSource starts at the beginning of an open file.
func newSource(path string, file *os.File, info fs.FileInfo, longest int) *source {
	return &source{id: uuid.NewString(), path: path, file: file, info: info, text: file, lines: newLines(file, 0, nil, longest), grown: time.Now()}
}

func (s *source) close() { _ = s.file.Close() }

// open opens a regular file.
func open(path string) (*os.File, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// readHead returns up to n first bytes of what a file holds, compressed or not, and a reader behind them.
func readHead(file *os.File, n int) ([]byte, io.Reader, error) {
	var r io.Reader = file
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	magic := make([]byte, 2)
	if _, err := io.ReadFull(file, magic); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	if compressed(magic) {
		z, err := gzip.NewReader(file)
		if err != nil {
			return nil, nil, err
		}
		r = z
	}
	head := make([]byte, n)
	got, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:got], r, err
}

func compressed(magic []byte) bool { return bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) }

// resume returns a source that goes on where a saved one ended, if the open file holds the same up to there.
func resume(path string, file *os.File, info fs.FileInfo, want savedFile, longest int) (*source, bool) {
	head, r, err := readHead(file, headSize)
	if err != nil || !want.Head.of(head) {
		return nil, false
	}
	s := &source{id: want.ID, path: path, file: file, info: info, text: r, done: want.Offset, plan: want.Plan, grown: time.Now()}
	if r == io.Reader(file) {
		if info.Size() < want.Offset {
			return nil, false
		}
		_, err = file.Seek(want.Offset, io.SeekStart)
	} else if s.still = true; want.Offset < int64(len(head)) {
		s.text = io.MultiReader(bytes.NewReader(head[want.Offset:]), r)
	} else {
		_, err = io.CopyN(io.Discard, r, want.Offset-int64(len(head)))
	}
	if err != nil {
		return nil, false
	}
	s.lines = newLines(s.text, want.Offset, head[:min(int64(len(head)), want.Offset)], longest)
	return s, true
}

// intact reports whether the file still holds what was read of it, rather than having been truncated.
func (s *source) intact() bool {
	if s.text != io.Reader(s.file) {
		return true
	}
	info, err := s.file.Stat()
	if err != nil {
		return true // reading tells more
	}
	s.info = info
	if info.Size() < s.lines.pos() {
		return false
	}
	head := make([]byte, len(s.lines.head))
	n, err := s.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return true
	}
	return bytes.Equal(head[:n], s.lines.head)
}

// saved is what the state file holds of the source.
func (s *source) saved() savedFile {
	taken := s.done
	if len(s.plan) > 0 {
		taken = s.plan[len(s.plan)-1]
	}
	dev, ino := identity(s.info)
	return savedFile{ID: s.id, Device: dev, Inode: ino, Offset: s.done, Plan: s.plan, Head: fingerprintOf(s.lines.head, taken)}
}
