package diag

import (
	"strconv"
	"strings"
	"unicode"
)

// maxShownRunes is how much of a long source line Render shows; leadRunes of them stand before the caret.
const (
	maxShownRunes = 120
	leadRunes     = 60
)

// Render returns the diagnostic as several lines for people: the headline of [Diagnostic.Error], the source line with
// its number, a caret line under the faulty text, and the hint:
//
//	video.yaml:3:9: verb: unknown function "ver"
//	  3 |   verb: ${ver(played)}
//	    |           ^~~
//	  hint: did you mean "verb"?
//
// The carets stand right under tabs (which are repeated), wide characters (two cells) and combining marks (none).
// Control characters and characters that reorder text are shown as U+FFFD; of a very long line, the part around the
// fault is shown. The text ends without a line break.
func (d *Diagnostic) Render() string {
	var b strings.Builder
	b.WriteString(d.headline())
	if d.Line != "" && d.Pos.IsValid() {
		d.renderSource(&b)
	}
	if d.Hint != "" {
		b.WriteString("\n  hint: ")
		b.WriteString(oneLine(d.Hint))
	}
	return b.String()
}

func (d *Diagnostic) renderSource(b *strings.Builder) {
	line := []rune(d.Line)
	from := min(max(d.Pos.Column-1, 0), len(line))
	to := from + 1
	if d.End.IsValid() {
		switch {
		case d.End.Line == d.Pos.Line:
			to = d.End.Column - 1
		case d.End.Line > d.Pos.Line:
			to = len(line)
		}
	}
	to = max(min(to, len(line)), from+1)

	cut, rest := "", ""
	if len(line) > maxShownRunes {
		start := max(min(from-leadRunes, len(line)-maxShownRunes), 0)
		end := start + maxShownRunes
		if start > 0 {
			cut = "…"
		}
		if end < len(line) {
			rest = "…"
		}
		line = line[start:end]
		from, to = from-start, min(to-start, maxShownRunes+1)
		to = max(to, from+1)
	}

	number := strconv.Itoa(d.Pos.Line)
	b.WriteString("\n  " + number + " | " + cut)
	for _, r := range line {
		if unsafeRune(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	b.WriteString(rest)

	if d.Pos.Column <= 0 {
		return
	}
	b.WriteString("\n  " + strings.Repeat(" ", len(number)) + " | ")
	if cut != "" {
		b.WriteByte(' ')
	}
	for _, r := range line[:from] {
		if r == '\t' {
			b.WriteByte('\t')
			continue
		}
		b.WriteString(strings.Repeat(" ", cells(r)))
	}
	var under strings.Builder
	for i := from; i < to; i++ {
		width, tab := 1, false
		if i < len(line) {
			width, tab = cells(line[i]), line[i] == '\t'
		}
		switch {
		case i == from:
			under.WriteByte('^')
			if tab {
				under.WriteByte('\t') // to the next tab stop, as the character above
			} else {
				under.WriteString(strings.Repeat("~", max(width-1, 0)))
			}
		case tab:
			under.WriteByte('\t')
		default:
			under.WriteString(strings.Repeat("~", width))
		}
	}
	b.WriteString(strings.TrimRight(under.String(), "\t"))
}

// unsafeRune reports whether a terminal or a reader could be misled by r: control characters (except the tab), line
// and paragraph separators, and marks that change the direction of text.
func unsafeRune(r rune) bool {
	switch {
	case r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f, r == 0x2028, r == 0x2029, r == 0xfeff:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// cells is the number of terminal cells of r: 0 for combining marks and joiners, 2 for East Asian wide characters and
// emoji, 1 otherwise.
func cells(r rune) int {
	switch {
	case r < 0x300, unsafeRune(r):
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// wide holds the blocks whose characters take two cells (East Asian Width W and F, and emoji).
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, // Hangul Jamo
		{Lo: 0x231a, Hi: 0x231b, Stride: 1},
		{Lo: 0x23e9, Hi: 0x23ec, Stride: 1},
		{Lo: 0x26a1, Hi: 0x26a1, Stride: 1},
		{Lo: 0x2705, Hi: 0x2705, Stride: 1},
		{Lo: 0x274c, Hi: 0x274c, Stride: 1},
		{Lo: 0x2b50, Hi: 0x2b50, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1}, // CJK radicals, punctuation
		{Lo: 0x3041, Hi: 0x33ff, Stride: 1}, // kana, Hangul compatibility, CJK symbols
		{Lo: 0x3400, Hi: 0x4dbf, Stride: 1},
		{Lo: 0x4e00, Hi: 0x9fff, Stride: 1},
		{Lo: 0xa000, Hi: 0xa4cf, Stride: 1}, // Yi
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, // Hangul syllables
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff01, Hi: 0xff60, Stride: 1}, // full-width forms
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x16fe0, Hi: 0x18aff, Stride: 1},
		{Lo: 0x1b000, Hi: 0x1b2ff, Stride: 1},
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1},
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x1fa70, Hi: 0x1faff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}
