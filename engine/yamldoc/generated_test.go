package yamldoc

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/erbd/erbd/engine/diag"
)

// script writes a scalar by hand and notes where each rune of its text stands.
type script struct {
	src       strings.Builder
	line, col int
	places    []diag.Position // of each rune of text
	text      strings.Builder
	dice      *rand.Rand
	eol       string
	indent    string
}

// put writes source characters.
func (s *script) put(str string) {
	s.src.WriteString(str)
	for _, r := range str {
		switch r {
		case '\n':
			s.line, s.col = s.line+1, 1
		case '\r':
		default:
			s.col++
		}
	}
}

// says notes that what is put next becomes r.
func (s *script) says(r rune) {
	s.places = append(s.places, diag.Position{File: "f.yaml", Line: s.line, Column: s.col})
	s.text.WriteRune(r)
}

func (s *script) chance(n int) bool { return s.dice.IntN(n) == 0 }

// fold writes line breaks that become one space (n = 0) or n line feeds, and the next line's indentation.
func (s *script) fold(n int) {
	if s.chance(3) {
		s.put([]string{" ", "\t", "  "}[s.dice.IntN(3)])
	}
	if n == 0 {
		s.says(' ')
	}
	s.put(s.eol)
	for range n {
		if s.chance(3) {
			s.put(s.indent)
		}
		s.says('\n')
		s.put(s.eol)
	}
	s.put(s.indent)
	s.put(strings.Repeat(" ", s.dice.IntN(3)))
}

func blankRune(r rune) bool { return r == ' ' || r == '\t' }

// rawAllowed reports whether YAML lets r stand for itself in quotes.
func rawAllowed(r rune) bool {
	return (r == '\t' || r >= 0x20) && r != 0x7f && (r < 0x80 || r >= 0xa0) && r != 0x2028 && r != 0x2029 &&
		r != 0xfeff && r != 0xfffe && r != 0xffff && r != utf8.RuneError && utf8.ValidRune(r)
}

func (s *script) double(text []rune) {
	s.put(`"`)
	broken := true // what stands before is a line break or the quote: a raw blank could vanish
	for i, r := range text {
		last := i == len(text)-1
		if s.chance(9) {
			s.put("\\" + s.eol + s.indent)
			broken = true
		}
		nextBlank := last || blankRune(text[i+1]) || text[i+1] == '\n'
		switch {
		case r == ' ' && !broken && !nextBlank && s.chance(3):
			s.fold(0)
			broken = true
			continue
		case r == '\n' && !broken && !nextBlank && s.chance(2):
			s.fold(1)
			broken = true
			continue
		}
		s.says(r)
		if rawAllowed(r) && r != '"' && r != '\\' && !(blankRune(r) && (broken || nextBlank)) && !s.chance(4) {
			s.put(string(r))
			// A raw blank must not be followed by a break; that is left to the escape below.
			broken = blankRune(r)
			continue
		}
		broken = false
		s.put(s.escape(r))
	}
	s.put(`"`)
}

func (s *script) escape(r rune) string {
	for c, str := range simpleEscapes {
		if str == string(r) && c != '/' && c != '\t' && s.chance(2) {
			return `\` + string(rune(c))
		}
	}
	switch {
	case r < 0x100 && s.chance(2):
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000 && s.chance(2):
		return fmt.Sprintf(`\u%04X`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

func (s *script) single(text []rune) {
	s.put("'")
	s.quotedLines(text, func(r rune) {
		s.says(r)
		if r == '\'' {
			s.put("''")
			return
		}
		s.put(string(r))
	})
	s.put("'")
}

// quotedLines writes flow text without escapes: what cannot stand is left out.
func (s *script) quotedLines(text []rune, char func(rune)) {
	before := ' '
	for i := 0; i < len(text); i++ {
		r := text[i]
		if r != '\n' && !rawAllowed(r) {
			continue
		}
		nextSolid := i+1 < len(text) && !unicode.IsSpace(text[i+1]) && rawAllowed(text[i+1])
		solid := !blankRune(before) && before != '\n'
		switch {
		case r == '\n' || blankRune(r):
			if !solid || !nextSolid {
				continue
			}
			switch {
			case r == '\n':
				s.fold(1 + s.dice.IntN(2))
			case r == ' ' && s.chance(3):
				s.fold(0)
			default:
				char(r)
			}
		default:
			char(r)
		}
		before = r
	}
}

func (s *script) plain(text []rune) {
	var letters []rune
	for _, r := range text {
		if unicode.IsLetter(r) || r == ' ' || r == '\n' || r == '$' || r == '(' || r == ')' || unicode.Is(unicode.So, r) {
			letters = append(letters, r)
		}
	}
	s.quotedLines(append([]rune("x"), letters...), func(r rune) {
		s.says(r)
		s.put(string(r))
	})
}

// block writes a literal or folded scalar.
func (s *script) block(text []rune, fold bool) {
	var clean []rune
	for _, r := range text {
		if r == '\n' || rawAllowed(r) {
			clean = append(clean, r)
		}
	}
	body := strings.TrimLeft(string(clean), "\n")
	if fold { // no lines that begin with blanks: they are not folded
		lines := strings.Split(body, "\n")
		for i := range lines {
			lines[i] = strings.TrimLeft(lines[i], " \t")
		}
		body = strings.Join(lines, "\n")
	}
	content := strings.TrimRight(body, "\n")
	tail := len(body) - len(content)
	header := "|"
	if fold {
		header = ">"
	}
	width := 1 + s.dice.IntN(4)
	first := strings.TrimLeft(content, "\n")
	if content == "" || blankRune(rune(first[0])) || s.chance(3) {
		header += fmt.Sprint(width)
	}
	switch {
	case content == "" || tail > 1:
		header += "+"
	case tail == 0:
		header += "-"
	}
	s.put(header)
	if s.chance(4) {
		s.put(" # note")
	}
	s.put(s.eol)
	margin := s.indent[:len(s.indent)-1] + strings.Repeat(" ", width)
	if content == "" {
		for range tail {
			s.says('\n')
			s.put(s.eol)
		}
		return
	}
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		if line != "" || s.chance(2) {
			s.put(margin)
		}
		for j, r := range line {
			if fold && r == ' ' && j > 0 && j+1 < len(line) && !blankRune(rune(line[j-1])) && !blankRune(rune(line[j+1])) && s.chance(3) {
				s.says(' ')
				s.put(s.eol + margin)
				continue
			}
			s.says(r)
			s.put(string(r))
		}
		if i == len(lines)-1 {
			break
		}
		if fold && line != "" {
			s.put(s.eol)
		}
		s.says('\n')
		s.put(s.eol)
	}
	for range tail {
		s.says('\n')
		s.put(s.eol)
	}
	if tail == 0 {
		s.put(s.eol)
	}
}

// checkWritten writes text in a style by hand, reads it back and compares the place of every rune.
func checkWritten(t *testing.T, seed uint64, st style, text string) {
	t.Helper()
	s := &script{line: 1, col: 1, dice: rand.New(rand.NewPCG(seed, 1)), eol: "\n"}
	if s.chance(3) {
		s.eol = "\r\n"
	}
	nested := s.chance(2)
	s.indent = " "
	if nested {
		s.put("é:" + s.eol + "   ")
		s.indent = "    "
	}
	s.put("日本: ")
	if s.chance(5) {
		s.put("!!str ")
	}
	runes := []rune(strings.ToValidUTF8(text, "?"))
	switch st {
	case plain:
		s.plain(runes)
	case singleQuoted:
		s.single(runes)
	case doubleQuoted:
		s.double(runes)
	case literal, folded:
		s.block(runes, st == folded)
	}
	if st != literal && st != folded {
		s.put(s.eol)
	}

	src := s.src.String()
	f, faults := Parse("f.yaml", []byte(src))
	require.Empty(t, faults.Render(), "seed %d style %d source %q", seed, st, src)
	n := f.Root.Entries[0].Value
	if nested {
		n = n.Entries[0].Value
	}
	require.Equal(t, s.text.String(), n.Text, "seed %d style %d source %q", seed, st, src)
	require.False(t, n.inexact, "seed %d source %q", seed, src)
	k := 0
	for i := range n.Text {
		if !assert.Equal(t, s.places[k], n.PosAt(i), "rune %d of %q, source %q", k, n.Text, src) {
			t.FailNow()
		}
		k++
	}
}

// checkEmitted lets the YAML library write text in a style and checks that every rune leads to a source character
// that can have become it, and that the places do not go back.
func checkEmitted(t *testing.T, style yaml.Style, text string) {
	t.Helper()
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	doc := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Value: "k"},
		{Kind: yaml.SequenceNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Style: style, Value: text}}},
	}}
	require.NoError(t, e.Encode(doc))
	require.NoError(t, e.Close())
	if back, _, err := decodeYAML(b.Bytes()); err != nil || back.Content[0].Content[1].Content[0].Value != text {
		return // the library does not read what it wrote (blanks before line breaks, tabs first)
	}
	f, faults := Parse("f.yaml", b.Bytes())
	if faults.HasErrors() {
		for _, d := range faults {
			require.Contains(t, []string{CodeLineBreak, CodeControl}, d.Code, "%s", d.Render())
		}
		return // the library writes some characters raw that are refused here
	}
	n := f.Root.Get("k").Items[0]
	require.False(t, n.inexact, "source %q", b.String())
	checkPlaces(t, n)
}

// checkPlaces checks what must hold of every scalar.
func checkPlaces(t *testing.T, n *Node) {
	t.Helper()
	doc := n.doc
	var c cursor
	before := n.Pos()
	for i, r := range n.Text {
		p := n.PosAt(i)
		require.LessOrEqual(t, before.Compare(p), 0, "places go back at %d in %q", i, doc.src)
		before = p
		at := c.offset(doc, p.Line, p.Column)
		require.Less(t, at, len(doc.src), "source %q", doc.src)
		got, _ := utf8.DecodeRune(doc.src[at:])
		switch {
		case got == r:
		case got == '\\' && (n.style == doubleQuoted || n.style == jsonString):
		case (got == '\n' || got == '\r') && (r == ' ' || r == '\n'):
		default:
			require.Failf(t, "wrong place", "rune %q at %d of %q leads to %q in %q", r, i, n.Text, got, doc.src)
		}
	}
	require.LessOrEqual(t, before.Compare(n.PosAt(len(n.Text))), 0, "the end goes back in %q", doc.src)
	require.LessOrEqual(t, n.PosAt(len(n.Text)).Line, n.End().Line+strings.Count(n.Text, "\n"), "source %q", doc.src)
}

var emittedStyles = []yaml.Style{0, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle}

// alphabet has what scalars stumble over.
var alphabet = []rune("ab ab  \n\n\t'\"\\:#-?[]{},&*!|>%@`$()é日😀\u00a0\u0085\u2028\ufeff\x00\x1b\r~=<0")

func TestPosAtGenerated(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	for i := range uint64(2000) {
		text := make([]rune, dice.IntN(24))
		for j := range text {
			text[j] = alphabet[dice.IntN(len(alphabet))]
		}
		for _, st := range []style{plain, singleQuoted, doubleQuoted, literal, folded} {
			checkWritten(t, i, st, string(text))
		}
		checkEmitted(t, emittedStyles[i%5], string(text))
		if t.Failed() {
			return
		}
	}
}

func FuzzPosAt(f *testing.F) {
	for i, text := range []string{"", "a", "a b\nc\n", "  a\n\n b", "é'\"\\\n日 😀", "a \n\t b\n\n\n", "${get('a.b') + \"x\"}\n  - y"} {
		f.Add(uint64(i), text)
	}
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		if len(text) > 256 { // every rune traces the scalar anew: the cost is the square
			return
		}
		for _, st := range []style{plain, singleQuoted, doubleQuoted, literal, folded} {
			checkWritten(t, seed, st, text)
		}
		if utf8.ValidString(text) {
			checkEmitted(t, emittedStyles[seed%5], text)
		}
	})
}
