package main

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// span is a value inside the bytes of an event; its kind is the first byte of the value, '0' for numbers, 0 where nothing
// was found.
type span struct {
	start, end int
	kind       byte
}

func (s span) raw(b []byte) []byte { return b[s.start:s.end] }

// paths finds the values at dotted paths in one pass over the bytes of valid JSON, and nothing else: what somebody would
// write who needs it fast for one kind of event.
type paths struct {
	root  node
	slots int
}

type node struct {
	key  string
	slot int // -1 where the node is no leaf
	kids []*node
}

func (p *paths) add(path string) int {
	n := &p.root
	for key := range strings.SplitSeq(path, ".") {
		var next *node
		for _, k := range n.kids {
			if k.key == key {
				next = k
			}
		}
		if next == nil {
			next = &node{key: key, slot: -1}
			n.kids = append(n.kids, next)
		}
		n = next
	}
	n.slot = p.slots
	p.slots++
	return n.slot
}

// find fills spans, one for each path.
func (p *paths) find(b []byte, spans []span) []span {
	spans = spans[:p.slots]
	clear(spans)
	w := walker{b, spans}
	w.object(0, &p.root)
	return spans
}

type walker struct {
	b     []byte
	spans []span
}

func (w *walker) object(i int, n *node) int {
	b := w.b
	i++
	for {
		for i < len(b) && (b[i] <= ' ' || b[i] == ',') {
			i++
		}
		if i >= len(b) || b[i] == '}' {
			return min(i+1, len(b))
		}
		start := i + 1
		i = w.text(i)
		key := b[start : i-1]
		for b[i] <= ' ' || b[i] == ':' {
			i++
		}
		var match *node
		for _, k := range n.kids {
			if len(k.key) == len(key) && k.key == string(key) {
				match = k
				break
			}
		}
		s := span{start: i, kind: b[i]}
		switch b[i] {
		case '"':
			i = w.text(i)
		case '{':
			if match != nil && match.kids != nil {
				i = w.object(i, match)
			} else {
				i = w.skip(i)
			}
		case '[':
			i = w.skip(i)
		default:
			if b[i] == '-' || b[i] <= '9' {
				s.kind = '0'
			}
			for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] > ' ' {
				i++
			}
		}
		s.end = i
		if match != nil && match.slot >= 0 {
			w.spans[match.slot] = s
		}
	}
}

const (
	everyByte = 0x0101010101010101
	everyHigh = 0x8080808080808080
)

// text returns the index behind the string at b[i].
func (w *walker) text(i int) int {
	b := w.b
	i++
	for i < len(b) {
		if i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			q, e := x^('"'*everyByte), x^('\\'*everyByte)
			m := ((q-everyByte)&^q | (e-everyByte)&^e) & everyHigh
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
		i++
	}
	return len(b)
}

// skip returns the index behind the object or list at b[i].
func (w *walker) skip(i int) int {
	b, depth := w.b, 0
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
			i = w.text(i)
			continue
		}
		i++
	}
	return len(b)
}
