package expr

import (
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/tidwall/gjson"
)

// conformFunctions put right what specifications refuse; the strict profile uses them.
var conformFunctions = []*Function{
	{
		Name: "with_iris", Params: []Param{dyn("value"), dyn("root")}, Result: cel.DynType,
		Doc:     "A value in which every member id, at any depth but not in extensions, is an absolute IRI: characters that IRIs cannot hold are percent-encoded, spaces around it are dropped, and an id without a scheme is taken as an address below root. Blank nodes (_:score) stay. An id that is empty or no text rejects the event.",
		Example: `with_iris({"id": "/a b", "name": "x"}, "http://lms")`, Gives: `{"id":"http://lms/a%20b","name":"x"}`,
		two: func(f *Frame, first, second Value) Value {
			if first.kind != Object && first.kind != List {
				return first
			}
			if second.kind != Text {
				return wrongKind("with_iris", "text as root", second)
			}
			start := len(f.scratch)
			var failed string
			f.scratch = appendWithIRIs(f.scratch, gjson.Parse(first.str()), second.str(), &failed)
			if failed != "" {
				return reject("with_iris: %s", failed)
			}
			return stringValue(first.kind, f.since(start))
		},
	},
	{
		Name: "mailto", Params: []Param{dyn("address")}, Result: cel.DynType,
		Doc:     "The mailto IRI of an e-mail address, with what needs it percent-encoded before the @. Null stays null; a text that is no address rejects the event.",
		Example: `mailto("o/neil@example.com")`, Gives: `"mailto:o%2Fneil@example.com"`,
		one: func(f *Frame, arg Value) Value {
			switch arg.kind {
			case Null:
				return NullValue
			case Text:
			default:
				return wrongKind("mailto", "text", arg)
			}
			local, domain, ok := cutLast(arg.str(), '@')
			if !ok || local == "" || !isDomain(domain) {
				return reject("mailto: the text is no e-mail address")
			}
			return TextValue(f.build(func(dst []byte) []byte {
				dst = append(dst, "mailto:"...)
				for i := range len(local) {
					if c := local[i]; isAlnum(c) || strings.IndexByte("._+-'", c) >= 0 {
						dst = append(dst, c)
					} else {
						dst = appendPercent(dst, c)
					}
				}
				return append(append(dst, '@'), domain...)
			}))
		},
	},
	{
		Name: "without_nul", Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "A value without the NUL characters in its texts, which many databases cannot store.",
		Example: `without_nul("a\u0000b")`, Gives: `"ab"`,
		one: func(f *Frame, arg Value) Value {
			switch v := arg; v.kind {
			case Text:
				return TextValue(strings.ReplaceAll(v.str(), "\x00", ""))
			case Object, List:
				if !strings.Contains(v.str(), `\u0000`) {
					return v
				}
				start := len(f.scratch)
				f.scratch = appendWithoutNUL(f.scratch, v.str())
				return stringValue(v.kind, f.since(start))
			}
			return arg
		},
	},
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// isDomain tells whether s is a domain name of ASCII letters, digits and hyphens with a dot in it.
func isDomain(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '.' {
			return false
		}
	}
	dot := strings.LastIndexByte(s, '.')
	return dot > 0 && dot < len(s)-1 && strings.IndexAny(s[dot+1:], "0123456789-") < 0
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func appendWithIRIs(dst []byte, r gjson.Result, root string, failed *string) []byte {
	dst = append(dst, r.Raw[0])
	start := len(dst)
	r.ForEach(func(k, m gjson.Result) bool {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if r.IsObject() {
			dst = append(AppendString(dst, textOf(k)), ':')
		}
		switch {
		case r.IsObject() && textOf(k) == "extensions":
			dst = append(dst, m.Raw...)
		case m.IsObject() || m.IsArray():
			dst = appendWithIRIs(dst, m, root, failed)
		case r.IsObject() && textOf(k) == "id" && m.Type != gjson.Null:
			iri, reason := absoluteIRI(m, root)
			if reason != "" {
				*failed = reason
			}
			dst = AppendString(dst, iri)
		default:
			dst = append(dst, m.Raw...)
		}
		if len(dst) > maxMemory {
			*failed = "the result is too large"
		}
		return *failed == ""
	})
	return append(dst, r.Raw[len(r.Raw)-1])
}

// absoluteIRI makes an IRI as RFC 3987 has it of an id, or says why it cannot.
func absoluteIRI(id gjson.Result, root string) (iri, reason string) {
	if id.Type != gjson.String {
		return "", "an id is no text"
	}
	s := strings.TrimFunc(textOf(id), func(r rune) bool { return r <= ' ' || r == 0x7f })
	switch {
	case s == "":
		return "", "an id is empty"
	case strings.HasPrefix(s, "_:"):
		return s, ""
	case schemeLength(s) > 0:
	case strings.HasPrefix(s, "//"):
		s = root[:schemeLength(root)] + s
	case s[0] == '/':
		s = root + s
	default:
		s = root + "/" + s
	}
	return string(appendIRI(make([]byte, 0, len(s)+16), s)), ""
}

// schemeLength is the length of the scheme with its colon, 0 where there is none. Only letters and digits count:
// the keys of blocks (block-v1:…) look like IRIs and are none, and record stores agree.
func schemeLength(s string) int {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':' && i > 0:
			return i + 1
		case !isAlnum(c) || i == 0 && c <= '9':
			return 0
		}
	}
	return 0
}

// appendIRI percent-encodes what an IRI cannot hold where it stands.
func appendIRI(dst []byte, s string) []byte {
	brackets := 0 // up to here, [ and ] may enclose an address of IPv6
	if n := schemeLength(s); strings.HasPrefix(s[n:], "//") {
		brackets = n + 2
		for brackets < len(s) && strings.IndexByte("/?#", s[brackets]) < 0 {
			brackets++
		}
	}
	fragment := false
	for i, r := range s {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(s[i:])
		}
		ok := isIRIRune(r)
		switch r {
		case '#':
			ok, fragment = !fragment, true
		case '[', ']':
			ok = i < brackets
		case '%':
			ok = i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
		}
		if ok {
			dst = append(dst, s[i:i+size]...)
			continue
		}
		for j := range size {
			dst = appendPercent(dst, s[i+j])
		}
	}
	return dst
}

// isIRIRune tells whether a character may stand in an IRI as it is; #, % and brackets depend on their place.
func isIRIRune(r rune) bool {
	switch {
	case r < 0x80:
		return r > 0 && (isAlnum(byte(r)) || strings.IndexByte("-._~:/?@!$&'()*+,;=", byte(r)) >= 0)
	case r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e:
		return false // they only change the direction of the text around them
	case r >= 0xa0 && r <= 0xd7ff, r >= 0xf900 && r <= 0xfdcf, r >= 0xfdf0 && r <= 0xffef:
		return true
	}
	return r >= 0x10000 && r < 0xf0000 && r&0xffff <= 0xfffd
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func appendPercent(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// appendWithoutNUL copies JSON without the escapes \u0000; raw NUL bytes are no JSON.
func appendWithoutNUL(dst []byte, raw string) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			dst = append(dst, raw[i])
			continue
		}
		if strings.HasPrefix(raw[i:], `\u0000`) {
			i += 5
			continue
		}
		dst = append(dst, raw[i], raw[i+1])
		i++
	}
	return dst
}
