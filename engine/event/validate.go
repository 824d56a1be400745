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

// member is a member of an object that is not inside a list.
type member struct {
	head, tail uint64 // of the key, as it is written
	key        span32 // without its quotes
	value      Span
	next       int32 // the member behind this one and all that are in its value
	escaped    bool  // the key
}

type span32 struct{ start, end int32 }

func (s span32) of(b []byte) []byte { return b[s.start:s.end] }

// validator validates one JSON value in a single pass without recursion and
// notes the members of its objects, so that nobody needs to read it again.
type validator struct {
	b        []byte
	i        int
	maxDepth int
	stack    []byte // of '{' and '['
	members  []member
	open     []int32 // the member that is being read, of each object of the stack
	lists    int     // how many of the stack are lists
	breaks   bool    // a line break stands between two tokens
}

// maxMembers is how many members a validator keeps room for.
const maxMembers = 1 << 14

// value scans the value at the start of b, behind white space, and returns the
// index behind it.
func (v *validator) value(b []byte, maxDepth int) (int, error) {
	v.b, v.i, v.maxDepth = b, 0, maxDepth
	v.stack, v.open, v.lists, v.breaks = v.stack[:0], v.open[:0], 0, false
	if v.members = v.members[:0]; cap(v.members) > maxMembers && len(b) < maxMembers {
		v.members = nil // a large event came before
	}
	if v.members == nil {
		v.members = make([]member, 0, 64)
	}
	var err error
	for {
		// A value starts here.
		v.space()
		if v.i >= len(v.b) {
			return 0, v.fail("a value")
		}
		start, c, escaped := v.i, v.b[v.i], false
		switch c {
		case '{', '[':
			if len(v.stack) >= v.maxDepth {
				return 0, fmt.Errorf("%w: more than %d levels", ErrTooDeep, v.maxDepth)
			}
			v.begin(start, c)
			v.stack = append(v.stack, c)
			if c == '[' {
				v.lists++
			} else {
				v.open = append(v.open, 0)
			}
			v.i++
			v.space()
			if v.i < len(v.b) && v.b[v.i] == c+2 { // '{'+2 is '}', '['+2 is ']'
				break // empty: closed below
			}
			if c == '[' {
				continue
			}
			if err = v.key(); err != nil {
				return 0, err
			}
			continue
		case '"':
			if escaped, err = v.text(); err != nil {
				return 0, err
			}
			v.end(start, c, escaped)
		default:
			if err = v.atom(c); err != nil {
				return 0, err
			}
			if c == '-' || c <= '9' {
				c = '0'
			}
			v.end(start, c, false)
		}
		// A value, or the opening of an empty container, ends here.
		for {
			if len(v.stack) == 0 {
				return v.i, nil
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
					if err = v.key(); err != nil {
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
			if open == '[' {
				v.lists--
			} else {
				v.open = v.open[:len(v.open)-1]
			}
			v.close()
		}
	}
}

// current is the member whose value is being read, nil inside lists and at the root.
func (v *validator) current() *member {
	if v.lists > 0 || len(v.open) == 0 {
		return nil
	}
	return &v.members[v.open[len(v.open)-1]]
}

// begin notes where the object or list of a member begins, close where it ends.
func (v *validator) begin(start int, kind byte) {
	if m := v.current(); m != nil {
		m.value = Span{Start: int32(start), Kind: kind}
	}
}

func (v *validator) close() {
	if m := v.current(); m != nil {
		m.value.End, m.next = int32(v.i), int32(len(v.members))
	}
}

// end notes the value of a member that is neither.
func (v *validator) end(start int, kind byte, escaped bool) {
	if m := v.current(); m != nil {
		m.value, m.next = Span{int32(start), int32(v.i), kind, escaped}, int32(len(v.members))
	}
}

// key reads an object's key and its colon.
func (v *validator) key() error {
	if v.i >= len(v.b) || v.b[v.i] != '"' {
		return v.fail("a key in double quotes")
	}
	start := v.i + 1
	escaped, err := v.text()
	if err != nil {
		return err
	}
	if v.lists == 0 {
		end := v.i - 1
		v.open[len(v.open)-1] = int32(len(v.members))
		m := member{key: span32{int32(start), int32(end)}, escaped: escaped}
		m.head, m.tail = nameAt(v.b, start, end)
		v.members = append(v.members, m)
	}
	v.space()
	if v.i >= len(v.b) || v.b[v.i] != ':' {
		return v.fail("a colon after the key")
	}
	v.i++
	return nil
}

// fields are where the values of the root's known keys are; of duplicate keys
// the last one counts, as in the JSON parsers of Python and Go.
func (v *validator) fields() (fields [fieldCount]int32) {
	for i := int32(0); int(i) < len(v.members); i = v.members[i].next {
		m := &v.members[i]
		key := m.key.of(v.b)
		if m.escaped {
			key = appendUnquoted(nil, key)
		}
		fields[fieldOf(key)] = i + 1
	}
	return fields
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
