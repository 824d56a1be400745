package yamldoc

import (
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// piece says where a stretch of decoded text came from. If raw, the bytes are the same, one for one; otherwise the
// source bytes as a whole (an escape, a line break) became the text bytes as a whole.
type piece struct {
	text, textLen int
	src, srcLen   int
	raw           bool
	lineBreak     bool // the source is a line break
}

// piecesStart gives the source offset of the text byte at offset, or the end of the last piece behind all of them.
func piecesStart(pieces []piece, offset, none int) int {
	i := sort.Search(len(pieces), func(i int) bool { return pieces[i].text+pieces[i].textLen > offset })
	if i == len(pieces) {
		if i == 0 {
			return none
		}
		return piecesEnd(pieces, pieces[i-1].text+pieces[i-1].textLen)
	}
	if p := pieces[i]; p.raw {
		return p.src + offset - p.text
	}
	return pieces[i].src
}

// piecesEnd gives the source offset just behind the text byte before offset, which must be above 0 and within the text.
// Behind a line break is the next line; there the end is before the break.
func piecesEnd(pieces []piece, offset int) int {
	i := sort.Search(len(pieces)-1, func(i int) bool { return pieces[i].text+pieces[i].textLen >= offset })
	switch p := pieces[i]; {
	case p.raw:
		return p.src + min(offset-p.text, p.srcLen)
	case p.lineBreak:
		return p.src
	default:
		return p.src + p.srcLen
	}
}

// tracer follows a scalar through the source. It knows the decoded text already, so that it stops at the first
// difference and never has to know the grammar around the scalar.
type tracer struct {
	src    []byte
	text   string
	at     int // decoded so far
	pieces []piece
}

// scan traces the scalar of the given style and text that begins at start. It appends to pieces and gives the offset
// just behind the scalar. It is not ok if the source does not decode to text.
func (d *document) scan(pieces []piece, st style, start int, text string) (_ []piece, end int, ok bool) {
	t := &tracer{src: d.src, text: text, pieces: pieces[:0]}
	switch st {
	case plain:
		end, ok = t.plain(start)
	case singleQuoted, doubleQuoted, jsonString:
		end, ok = t.quoted(start, st)
	case literal, folded:
		end, ok = t.block(start, st)
	}
	return t.pieces, end, ok && t.at == len(text)
}

// raw takes n source bytes as they are.
func (t *tracer) raw(src, n int) bool {
	if n == 0 {
		return true
	}
	if !strings.HasPrefix(t.text[t.at:], string(t.src[src:src+n])) {
		return false
	}
	if k := len(t.pieces) - 1; k >= 0 && t.pieces[k].raw && t.pieces[k].src+t.pieces[k].srcLen == src {
		t.pieces[k].textLen += n
		t.pieces[k].srcLen += n
	} else {
		t.pieces = append(t.pieces, piece{text: t.at, textLen: n, src: src, srcLen: n, raw: true})
	}
	t.at += n
	return true
}

// made takes n source bytes that stand for s.
func (t *tracer) made(src, n int, s string) bool {
	if !strings.HasPrefix(t.text[t.at:], s) {
		return false
	}
	t.pieces = append(t.pieces, piece{text: t.at, textLen: len(s), src: src, srcLen: n, lineBreak: t.lineBreak(src) > 0})
	t.at += len(s)
	return true
}

// lineBreak is the length of the line break at i, or 0.
func (t *tracer) lineBreak(i int) int {
	switch {
	case i >= len(t.src):
		return 0
	case t.src[i] == '\n':
		return 1
	case t.src[i] == '\r' && i+1 < len(t.src) && t.src[i+1] == '\n':
		return 2
	}
	return 0
}

func (t *tracer) blank(i int) bool { return i < len(t.src) && (t.src[i] == ' ' || t.src[i] == '\t') }

// white takes a run of blanks and line breaks at i inside a flow scalar, folding the line breaks. After an escaped
// line break (escaped), blanks vanish and no break is spared for folding.
func (t *tracer) white(i int, escaped bool) (int, bool) {
	start, breaks := i, 0
	if escaped {
		breaks = 1
	}
	firstAt, firstLen := 0, 0
	ok := true
	for ok {
		if n := t.lineBreak(i); n > 0 {
			breaks++
			if breaks == 1 {
				firstAt, firstLen = i, n
			} else {
				ok = t.made(i, n, "\n")
			}
			i += n
			continue
		}
		if !t.blank(i) {
			break
		}
		i++
	}
	switch {
	case !ok:
		return i, false
	case breaks == 0:
		return i, t.raw(start, i-start)
	case breaks == 1 && !escaped:
		return i, t.made(firstAt, firstLen, " ")
	}
	return i, true
}

func (t *tracer) plain(i int) (int, bool) {
	for t.at < len(t.text) {
		if t.blank(i) || t.lineBreak(i) > 0 {
			var ok bool
			if i, ok = t.white(i, false); !ok {
				return i, false
			}
			continue
		}
		n := 0
		for i+n < len(t.src) && !t.blank(i+n) && t.lineBreak(i+n) == 0 && n < len(t.text)-t.at {
			n++
		}
		if n == 0 || !t.raw(i, n) {
			return i, false
		}
		i += n
	}
	return i, true
}

func (t *tracer) quoted(i int, st style) (int, bool) {
	quote := byte('"')
	if st == singleQuoted {
		quote = '\''
	}
	if i >= len(t.src) || t.src[i] != quote {
		return i, false
	}
	i++
	for i < len(t.src) {
		c := t.src[i]
		ok := true
		switch {
		case c == quote && quote == '\'' && i+1 < len(t.src) && t.src[i+1] == '\'':
			ok = t.made(i, 2, "'")
			i += 2
		case c == quote:
			return i + 1, true
		case st != jsonString && (t.blank(i) || t.lineBreak(i) > 0):
			i, ok = t.white(i, false)
		case c == '\\' && quote == '"':
			if n := t.lineBreak(i + 1); n > 0 {
				i, ok = t.white(i+1+n, true)
				break
			}
			n, s := escape(t.src[i:], st == jsonString)
			if n == 0 {
				return i, false
			}
			ok = t.made(i, n, s)
			i += n
		default:
			n := 1
			for i+n < len(t.src) && t.src[i+n] != quote && t.src[i+n] != '\\' &&
				(st == jsonString || !t.blank(i+n) && t.lineBreak(i+n) == 0) {
				n++
			}
			ok = t.raw(i, n)
			i += n
		}
		if !ok {
			return i, false
		}
	}
	return i, false
}

// simpleEscapes are the escapes of one character in double quotes.
var simpleEscapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
	' ': " ", '"': `"`, '\'': "'", '/': "/", '\\': `\`, 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// escape decodes the escape at the start of src and gives its length; 0 if it is none. In JSON, two escapes of a
// surrogate pair are one character and a lone surrogate is U+FFFD.
func escape(src []byte, json bool) (n int, s string) {
	if len(src) < 2 {
		return 0, ""
	}
	digits := 0
	switch src[1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		s, ok := simpleEscapes[src[1]]
		if !ok {
			return 0, ""
		}
		return 2, s
	}
	r, ok := hex(src[2:], digits)
	if !ok {
		return 0, ""
	}
	if json && utf16.IsSurrogate(r) {
		if len(src) >= 12 && src[6] == '\\' && src[7] == 'u' {
			if low, ok := hex(src[8:], 4); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return 12, string(pair)
				}
			}
		}
		return 6, string(utf8.RuneError)
	}
	return 2 + digits, string(r)
}

func hex(src []byte, digits int) (rune, bool) {
	if len(src) < digits {
		return 0, false
	}
	var v uint32
	for _, c := range src[:digits] {
		v <<= 4
		switch {
		case '0' <= c && c <= '9':
			v |= uint32(c - '0')
		case 'a' <= c && c <= 'f':
			v |= uint32(c-'a') + 10
		case 'A' <= c && c <= 'F':
			v |= uint32(c-'A') + 10
		default:
			return 0, false
		}
	}
	return rune(min(v, utf8.MaxRune+1)), true
}
