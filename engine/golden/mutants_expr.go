package golden

import "strings"

// others are the operators and functions that stand in for one another in mutants.
var others = map[string][]string{
	"==": {"!="}, "!=": {"=="}, "&&": {"||"}, "||": {"&&"},
	"<": {">=", "<="}, ">": {"<=", ">="}, "<=": {">", "<"}, ">=": {"<", ">"},
	"*": {"/"}, "/": {"*"}, "!": {""},
	"true": {"false"}, "false": {"true"},
	"get": {"require"}, "require": {"get"}, "trim_end": {"trim_start"}, "before_last": {"before"},
	"duration_iso": {"duration_iso_padded"}, "duration_iso_padded": {"duration_iso"}, "seconds": {"number"}, "time_iso": {"time_utc"}, "time_utc": {"time_iso"},
	"get_object": {"get"}, "is_list": {"is_object"}, "is_object": {"is_list"},
}

// expressionMutants calls change for each way to change a part of an expression.
func expressionMutants(text string, change func(from, to int, by, what string)) {
	tokens := lex(text)
	for i, t := range tokens {
		word := text[t.from:t.to]
		switch t.kind {
		case textToken:
			if inside := strings.Trim(word, word[:1]); len(inside) == 1 && !isLetter(inside[0]) && !isDigit(inside[0]) {
				change(t.from+1, t.to-1, "~", "another text") // a set of characters, of which more may do no harm
			} else {
				change(t.to-1, t.to-1, "~", "another text")
			}
		case numberToken:
			change(t.from, t.to, nextNumber(word), "another number")
		case nameToken:
			call := i+1 < len(tokens) && text[tokens[i+1].from:tokens[i+1].to] == "("
			member := i > 0 && text[tokens[i-1].from:tokens[i-1].to] == "."
			for _, other := range others[word] {
				change(t.from, t.to, other, "another word")
			}
			if call && !member {
				callMutants(text, tokens, i, change)
			}
		case signToken:
			for _, other := range others[word] {
				change(t.from, t.to, other, "another operator")
			}
		}
	}
}

// callMutants puts each argument in the place of the call, and drops arguments of functions that take several.
func callMutants(text string, tokens []token, at int, change func(from, to int, by, what string)) {
	var args [][2]int // offsets
	depth, from, end := 0, 0, -1
	for _, t := range tokens[at+1:] {
		switch word := text[t.from:t.to]; word {
		case "(", "[", "{":
			depth++
			if depth == 1 {
				from = t.to
			}
		case ")", "]", "}":
			depth--
			if depth == 0 {
				args = append(args, [2]int{from, t.from})
				end = t.to
			}
		case ",":
			if depth == 1 {
				args = append(args, [2]int{from, t.from})
				from = t.to
			}
		}
		if end >= 0 {
			break
		}
	}
	if end < 0 {
		return
	}
	name := text[tokens[at].from:tokens[at].to]
	for _, a := range args {
		if arg := strings.TrimSpace(text[a[0]:a[1]]); arg != "" {
			change(tokens[at].from, end, "("+arg+")", "an argument for "+name)
		}
	}
	if name != "first" && name != "or_else" && name != "coalesce" || len(args) < 2 {
		return
	}
	for i := range args {
		from, to := args[i][0], args[i][1]
		if i == 0 {
			to = args[1][0]
		} else {
			from-- // the comma
		}
		change(from, to, "", "an argument less for "+name)
	}
}

type tokenKind uint8

const (
	nameToken tokenKind = iota
	textToken
	numberToken
	signToken
)

type token struct {
	kind     tokenKind
	from, to int
}

// lex cuts an expression into tokens. It knows as much of CEL as mappings use; what it cuts wrongly makes a mutant
// that does not compile.
func lex(s string) (tokens []token) {
	for i := 0; i < len(s); {
		c := s[i]
		start := i
		kind := signToken
		switch {
		case c <= ' ':
			i++
			continue
		case c == '"' || c == '\'':
			kind = textToken
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			i = min(i+1, len(s))
		case isDigit(c):
			kind = numberToken
			for i < len(s) && (isDigit(s[i]) || s[i] == '.') {
				i++
			}
		case isLetter(c):
			kind = nameToken
			for i < len(s) && (isLetter(s[i]) || isDigit(s[i])) {
				i++
			}
		default:
			i++
			if i < len(s) && others[s[start:i+1]] != nil {
				i++
			}
		}
		tokens = append(tokens, token{kind, start, i})
	}
	return tokens
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
