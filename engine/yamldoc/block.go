package yamldoc

import (
	"bytes"
	"slices"
	"strings"
)

// block traces a literal or folded block scalar from its indicator.
func (t *tracer) block(i int, st style) (int, bool) {
	indicator := byte('|')
	if st == folded {
		indicator = '>'
	}
	if i >= len(t.src) || t.src[i] != indicator {
		return i, false
	}
	i++
	chomp := byte(0)
	for i < len(t.src) && (t.src[i] == '+' || t.src[i] == '-' || '0' <= t.src[i] && t.src[i] <= '9') {
		if t.src[i] == '+' || t.src[i] == '-' {
			chomp = t.src[i]
		}
		i++
	}
	header := i
	if n := bytes.IndexByte(t.src[i:], '\n'); n >= 0 {
		i += n + 1
	} else {
		i = len(t.src)
	}
	if t.text == "" {
		return header, true
	}
	for _, indent := range t.blockIndents(i) {
		t.at, t.pieces = 0, t.pieces[:0]
		if end, ok := t.blockLines(i, header, indent, st, chomp); ok && t.at == len(t.text) {
			return end, true
		}
	}
	return header, false
}

// deepIndent is more than the indentation of any line.
const deepIndent = int(^uint(0) >> 1)

// blockIndents gives the indentations that a block scalar may have whose lines begin at i: that of a source line less
// the blanks that the first line of the text has of its own. Lines of blanks alone may or may not be text, so several
// are possible; the first one that decodes to the text is right.
func (t *tracer) blockIndents(i int) []int {
	first := strings.TrimLeft(t.text, "\n")
	if first == "" {
		return []int{deepIndent}
	}
	own := len(first) - len(strings.TrimLeft(first, " "))
	var out []int
	for i < len(t.src) {
		spaces := 0
		for i+spaces < len(t.src) && t.src[i+spaces] == ' ' {
			spaces++
		}
		if n := spaces - own; n > 0 && !slices.Contains(out, n) && len(out) < maxIndents {
			out = append(out, n)
		}
		n := t.lineBreak(i + spaces)
		if n == 0 {
			break
		}
		i += spaces + n
	}
	return out
}

// maxIndents bounds the work for a block scalar that begins with lines of blanks of many lengths.
const maxIndents = 64

func (t *tracer) blockLines(i, header, indent int, st style, chomp byte) (int, bool) {
	type lineEnd struct{ at, n int }
	var leading lineEnd
	var trailing []lineEnd
	end := header
	leadingBlank := false
	// eat skips indentation and empty lines.
	eat := func() {
		for {
			for col := 0; i < len(t.src) && t.src[i] == ' ' && col < indent; col++ {
				i++
			}
			n := t.lineBreak(i)
			if n == 0 {
				return
			}
			trailing = append(trailing, lineEnd{i, n})
			i += n
		}
	}
	lineStart := func() bool { // whether i stands right behind a whole indentation
		return i < len(t.src) && i >= indent && bytes.LastIndexByte(t.src[:i], '\n') == i-indent-1
	}
	eat()
	for t.at < len(t.text) && lineStart() {
		trailingBlank := t.blank(i)
		ok := true
		if leading.n > 0 {
			switch {
			case st == folded && !leadingBlank && !trailingBlank:
				if len(trailing) == 0 {
					ok = t.made(leading.at, leading.n, " ")
				}
			default:
				ok = t.made(leading.at, leading.n, "\n")
			}
		}
		for _, b := range trailing {
			ok = ok && t.made(b.at, b.n, "\n")
		}
		trailing = trailing[:0]
		leadingBlank = trailingBlank
		n := 0
		for i+n < len(t.src) && t.lineBreak(i+n) == 0 {
			n++
		}
		if !ok || !t.raw(i, n) {
			return i, false
		}
		i += n
		end = i
		leading = lineEnd{i, t.lineBreak(i)}
		i += leading.n
		eat()
	}
	if chomp != '-' && leading.n > 0 && !t.made(leading.at, leading.n, "\n") {
		return i, false
	}
	if chomp == '+' {
		for _, b := range trailing {
			if !t.made(b.at, b.n, "\n") {
				return i, false
			}
		}
	}
	return end, true
}
