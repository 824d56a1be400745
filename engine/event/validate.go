package event

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// field is one of the keys at the root of an event that decide about its shape.
type field uint8

const (
	fieldNone field = iota
	fieldName
	fieldData
	fieldEvent
	fieldTime
	fieldTimestamp
	fieldEventType
	fieldCount
)

// span is the place of a value in the scanned bytes; end 0 means absent.
type span struct{ start, end int }

func (s span) present() bool            { return s.end > 0 }
func (s span) of(b []byte) []byte       { return b[s.start:s.end] }
func (s span) kind(b []byte) byte       { return b[s.start] }
func (s span) isString(b []byte) bool   { return s.present() && b[s.start] == '"' }
func (s span) holdsText(b []byte) bool  { return s.isString(b) && s.end-s.start > 2 }
func (s span) holdsValue(b []byte) bool { return s.present() && s.kind(b) != 'n' && !s.emptyText(b) }
func (s span) emptyText(b []byte) bool  { return s.isString(b) && s.end-s.start == 2 }

// validator validates one JSON value in a single pass without recursion. Where
// it is an object, it notes where the values of the root's known keys are; of
// duplicate keys the last one counts, as in the JSON parsers of Python and Go.
type validator struct {
	b        []byte
	i        int
	maxDepth int
	stack    []byte // of '{' and '['
	fields   [fieldCount]span
	breaks   bool // a line break stands between two tokens
}

// value scans the value at the start of b, behind white space, and returns the
// index behind it.
func (v *validator) value(b []byte, maxDepth int) (int, error) {
	v.b, v.i, v.maxDepth = b, 0, maxDepth
	v.stack = v.stack[:0]
	v.fields = [fieldCount]span{}
	v.breaks = false
	current := fieldNone // the known key of the root whose value is being read
	var err error
	for {
		// A value starts here.
		v.space()
		if v.i >= len(v.b) {
			return 0, v.fail("a value")
		}
		switch c := v.b[v.i]; c {
		case '{', '[':
			if len(v.stack) >= v.maxDepth {
				return 0, fmt.Errorf("%w: more than %d levels", ErrTooDeep, v.maxDepth)
			}
			if len(v.stack) == 1 {
				v.fields[current].start = v.i
			}
			v.stack = append(v.stack, c)
			v.i++
			v.space()
			if v.i < len(v.b) && v.b[v.i] == c+2 { // '{'+2 is '}', '['+2 is ']'
				break // empty: closed below
			}
			if c == '[' {
				continue
			}
			if current, err = v.key(current); err != nil {
				return 0, err
			}
			continue
		case '"':
			if len(v.stack) == 1 {
				v.fields[current].start = v.i
			}
			if _, err = v.text(); err != nil {
				return 0, err
			}
		default:
			if len(v.stack) == 1 {
				v.fields[current].start = v.i
			}
			if err = v.atom(c); err != nil {
				return 0, err
			}
		}
		// A value, or the opening of an empty container, ends here.
		for {
			if len(v.stack) == 0 {
				return v.i, nil
			}
			if len(v.stack) == 1 {
				v.fields[current].end = v.i
			}
			v.space()
			if v.i >= len(v.b) {
				return 0, v.fail("a comma or the end of the object or list")
			}
			open, c := v.stack[len(v.stack)-1], v.b[v.i]
			if c == ',' {
				v.i++
				if open == '{' {
					v.space()
					if current, err = v.key(current); err != nil {
						return 0, err
					}
				}
				break
			}
			if c != open+2 {
				return 0, v.fail("a comma or the end of the object or list")
			}
			v.i++
			v.stack = v.stack[:len(v.stack)-1]
		}
	}
}

// key reads an object's key and its colon. At the root it returns which of the
// known keys it is; deeper, what it was given.
func (v *validator) key(current field) (field, error) {
	if v.i >= len(v.b) || v.b[v.i] != '"' {
		return current, v.fail("a key in double quotes")
	}
	start := v.i
	escaped, err := v.text()
	if err != nil {
		return current, err
	}
	if len(v.stack) == 1 {
		raw := v.b[start+1 : v.i-1]
		if escaped {
			raw = appendUnquoted(nil, raw)
		}
		current = fieldOf(raw)
	}
	v.space()
	if v.i >= len(v.b) || v.b[v.i] != ':' {
		return current, v.fail("a colon after the key")
	}
	v.i++
	return current, nil
}

func fieldOf(key []byte) field {
	switch string(key) {
	case "name":
		return fieldName
	case "data":
		return fieldData
	case "event":
		return fieldEvent
	case "time":
		return fieldTime
	case "timestamp":
		return fieldTimestamp
	case "event_type":
		return fieldEventType
	}
	return fieldNone
}

func (v *validator) space() {
	for v.i < len(v.b) {
		switch v.b[v.i] {
		case ' ', '\t':
		case '\n', '\r':
			v.breaks = true
		default:
			return
		}
		v.i++
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// text reads the string that starts at s.i, eight bytes a step as long as they
// are plain ASCII, and reports whether it holds escapes.
func (v *validator) text() (escaped bool, err error) {
	b, i := v.b, v.i+1
	for {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			quote, slash := x^(ones*'"'), x^(ones*'\\')
			// The lowest bit set marks the first byte that is a quote, a
			// backslash, a control character or not ASCII.
			m := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x | x) & highs
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			v.i = len(b)
			return escaped, v.fail("the closing quote of a text")
		}
		switch c := b[i]; {
		case c == '"':
			v.i = i + 1
			return escaped, nil
		case c == '\\':
			escaped = true
			n := escapeLength(b[i:])
			if n == 0 {
				v.i = i
				return escaped, v.fail("a valid escape in a text")
			}
			i += n
		case c < 0x20:
			v.i = i
			return escaped, v.fail("no control character in a text")
		case c < utf8.RuneSelf:
			i++
		default:
			for i < len(b) && b[i] >= utf8.RuneSelf {
				r, size := utf8.DecodeRune(b[i:])
				if r == utf8.RuneError && size <= 1 {
					v.i = i
					return escaped, &encodingError{offset: i}
				}
				i += size
			}
		}
	}
}

// escapeLength is the length of the escape at the start of b, 0 if it is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// atom reads a number, true, false or null.
func (v *validator) atom(c byte) error {
	switch c {
	case 't':
		return v.literal("true")
	case 'f':
		return v.literal("false")
	case 'n':
		return v.literal("null")
	}
	b, i := v.b, v.i
	if c == '-' {
		i++
	}
	start := i
	i = digits(b, i)
	if i == start {
		if c != '-' {
			return v.fail("a value")
		}
		v.i = i
		return v.fail("a digit")
	}
	if b[start] == '0' && i > start+1 {
		v.i = start + 1
		return v.fail("no digit after a leading zero")
	}
	if i < len(b) && b[i] == '.' {
		start = i + 1
		if i = digits(b, start); i == start {
			v.i = i
			return v.fail("a digit after the decimal point")
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start = i
		if i = digits(b, start); i == start {
			v.i = i
			return v.fail("a digit in the exponent")
		}
	}
	v.i = i
	return nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func (v *validator) literal(word string) error {
	if len(v.b)-v.i < len(word) || string(v.b[v.i:v.i+len(word)]) != word {
		return v.fail("a value")
	}
	v.i += len(word)
	return nil
}

func (v *validator) fail(expected string) error {
	return &SyntaxError{Offset: v.i, Expected: expected}
}

// encodingError is ErrInvalidUTF8 with its place.
type encodingError struct{ offset int }

func (e *encodingError) Error() string {
	return fmt.Sprintf("%v at byte %d", ErrInvalidUTF8, e.offset+1)
}

func (e *encodingError) Unwrap() error { return ErrInvalidUTF8 }
