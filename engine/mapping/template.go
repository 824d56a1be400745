package mapping

import (
	"strings"
)

// part is a piece of a scalar: literal text, or an expression at text[from:to].
type part struct {
	literal  string
	isExpr   bool
	from, to int
}

// split cuts a scalar into literal text and ${…} expressions; $${ stands for a literal ${. bad is the offset of a
// ${ that is never closed, -1 where there is none.
func split(text string) (parts []part, bad int) {
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			parts = append(parts, part{literal: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "$${"):
			lit.WriteString("${")
			i += 3
		case strings.HasPrefix(text[i:], "${"):
			end := closing(text, i+2)
			if end < 0 {
				return nil, i
			}
			flush()
			parts = append(parts, part{isExpr: true, from: i + 2, to: end})
			i = end + 1
		default:
			lit.WriteByte(text[i])
			i++
		}
	}
	flush()
	return parts, -1
}

// closing finds the brace that ends an expression, skipping CEL's braces, strings and comments; -1 where none does.
func closing(text string, i int) int {
	depth := 0
	for i < len(text) {
		switch c := text[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"', '\'':
			i = stringEnd(text, i)
			continue
		case '/':
			if strings.HasPrefix(text[i:], "//") {
				n := strings.IndexByte(text[i:], '\n')
				if n < 0 {
					return -1
				}
				i += n
			}
		}
		i++
	}
	return -1
}

// stringEnd is the offset behind the CEL string that starts at i: '…', "…" and their triple forms, raw or not.
func stringEnd(text string, i int) int {
	quote := text[i : i+1]
	raw := i > 0 && (text[i-1]|0x20 == 'r') && (i < 2 || !isWord(text[i-2]) || text[i-2]|0x20 == 'b')
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[i:], triple) {
		quote = triple
	}
	i += len(quote)
	for i < len(text) {
		if text[i] == '\\' && !raw {
			i += 2
			continue
		}
		if strings.HasPrefix(text[i:], quote) {
			return i + len(quote)
		}
		i++
	}
	return len(text)
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
