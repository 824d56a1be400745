package yamldoc

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/erbd/erbd/engine/diag"
)

// document is the text that nodes refer to.
type document struct {
	name  string
	src   []byte // without byte order mark
	lines []int  // offset of the first byte of each line
}

func newDocument(name string, src []byte) *document {
	d := &document{name: name, src: src, lines: make([]int, 1, 1+bytes.Count(src, newline))}
	for i, c := range src {
		if c == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	return d
}

var newline = []byte{'\n'}

// position gives line and column of a byte offset; an offset inside a character means that character, one between CR
// and LF the CR.
func (d *document) position(offset int) diag.Position {
	offset = min(max(offset, 0), len(d.src))
	for offset > 0 && offset < len(d.src) && !utf8.RuneStart(d.src[offset]) {
		offset--
	}
	line := sort.SearchInts(d.lines, offset+1) - 1
	text := d.src[d.lines[line]:offset]
	if offset < len(d.src) && d.src[offset] == '\n' && len(text) > 0 && text[len(text)-1] == '\r' {
		text = text[:len(text)-1]
	}
	return diag.Position{File: d.name, Line: line + 1, Column: utf8.RuneCount(text) + 1}
}

// cursor finds byte offsets of the positions that the YAML library gives. It goes on from the last one where it can:
// nodes come in the order of the file, and starting each line anew would cost the square of a long line.
type cursor struct{ line, column, at int }

// offset is the inverse of position. Places outside the text are moved to its nearest edge.
func (c *cursor) offset(d *document, line, column int) int {
	if line < 1 {
		return 0
	}
	if line > len(d.lines) {
		return len(d.src)
	}
	if c.line != line || c.column > column {
		*c = cursor{line: line, column: 1, at: d.lines[line-1]}
	}
	for c.column < column && c.at < len(d.src) && d.src[c.at] != '\n' {
		_, size := utf8.DecodeRune(d.src[c.at:])
		c.at += size
		c.column++
	}
	return c.at
}

// line returns the text of a line without its line break.
func (d *document) line(number int) string {
	if number < 1 || number > len(d.lines) {
		return ""
	}
	end := len(d.src)
	if number < len(d.lines) {
		end = d.lines[number] - 1
	}
	return strings.ToValidUTF8(string(bytes.TrimSuffix(d.src[d.lines[number-1]:end], []byte{'\r'})), "\ufffd")
}

// diag makes a diagnostic about the bytes from start to end.
func (d *document) diag(start, end int, sev diag.Severity, code, format string, args ...any) *diag.Diagnostic {
	pos := d.position(start)
	out := &diag.Diagnostic{Pos: pos, Severity: sev, Code: code, Message: format, Line: d.line(pos.Line)}
	if len(args) > 0 {
		err := fmt.Errorf(format, args...)
		out.Message = err.Error()
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			out.Err = e.Unwrap()
		case interface{ Unwrap() []error }:
			out.Err = err
		}
	}
	if end > start {
		out.End = d.position(end)
	}
	return out
}
