package event

import (
	"encoding/binary"
	"math/bits"
)

// cursor reads valid JSON.
type cursor struct{ b []byte }

func (s cursor) space(i int) int {
	for i < len(s.b) && s.b[i] <= ' ' {
		i++
	}
	return i
}

const (
	everyByte  = 0x0101010101010101
	everyHigh  = 0x8080808080808080
	quotes     = '"' * everyByte
	backslashs = '\\' * everyByte
)

// text returns the index behind the string that starts at b[i], and whether it holds a backslash.
func (s cursor) text(i int) (int, bool) {
	b := s.b
	i++
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		q, e := w^quotes, w^backslashs
		if m := ((q-everyByte)&^q | (e-everyByte)&^e) & everyHigh; m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			if b[i] == '"' {
				return i + 1, false
			}
			return s.escapedText(i), true
		}
		i += 8
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1, false
		case '\\':
			return s.escapedText(i), true
		}
	}
	return len(b), false
}

func (s cursor) escapedText(i int) int {
	for b := s.b; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s.b)
}

// skip returns the index behind the object or list that starts at b[i].
func (s cursor) skip(i int) int {
	b, depth := s.b, 0
	for i < len(b) {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
		case '"':
			i, _ = s.text(i)
			continue
		}
		i++
	}
	return len(b)
}

func (s cursor) literal(i int) int {
	for b := s.b; i < len(b); i++ {
		if c := b[i]; c == ',' || c == '}' || c == ']' || c <= ' ' {
			return i
		}
	}
	return i
}
