package event

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/tidwall/gjson"
)

// Span is one JSON value inside the bytes of an event: b[Start:End]. The zero Span is a missing value.
type Span struct {
	Start, End int32
	// Kind is the first byte that tells JSON kinds apart: '"' text, '{' object, '[' list, 't' and 'f'
	// booleans, 'n' null, '0' any number, and 0 where nothing was found.
	Kind byte
	// Escaped is true for text that holds a backslash and so must be decoded before use.
	Escaped bool
}

// Raw returns the JSON text of the value, "" where it is missing.
func (s Span) Raw(b []byte) []byte { return b[s.Start:s.End] }

// Slot identifies one look-up of a Scanner, in the order of the calls that made it.
type Slot int32

// Scanner finds the values of many look-ups in one pass over an event. A look-up is a dotted path
// (objects only, key by key) or a bare key (depth first: the key at a level wins over its children,
// children in document order, lists not entered). Where an object repeats a key, the last value counts.
//
// Build it with Path and Find, then share it: Scan does not change it.
type Scanner struct {
	root  trie
	finds []findKey
	nodes int
	slots int
	paths map[string]Slot
	keys  map[string]Slot
	// findBits has the bit of every bare key set, so that most keys of an event cost one test.
	findBits uint64
}

type trie struct {
	slot Slot // -1 where the node is no leaf
	node int32
	kids []step
}

type step struct {
	key name
	to  *trie
}

type findKey struct {
	key  name
	slot Slot
}

// name is a key in a form that is compared by words: its first and last eight bytes, which are all there is of most.
type name struct {
	head, tail uint64
	text       string
}

func nameOf(key string) name {
	n := name{text: key}
	b := []byte(key)
	if len(b) >= 8 {
		n.head, n.tail = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[len(b)-8:])
		return n
	}
	for i, c := range b {
		n.head |= uint64(c) << (8 * i)
	}
	return n
}

// nameAt is nameOf for the bytes b[i:j], without a copy of them.
func nameAt(b []byte, i, j int) (head, tail uint64) {
	if n := j - i; n >= 8 {
		return binary.LittleEndian.Uint64(b[i:]), binary.LittleEndian.Uint64(b[j-8:])
	} else if i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i:]) & (1<<(8*n) - 1), 0
	}
	for k, c := range b[i:j] {
		head |= uint64(c) << (8 * k)
	}
	return head, 0
}

func (n *name) is(head, tail uint64, key []byte) bool {
	return n.head == head && n.tail == tail && len(n.text) == len(key) && (len(key) <= 16 || n.text == string(key))
}

// bit is one of 64 bits, spread over the names.
func bit(head uint64, length int) uint64 {
	return 1 << ((head ^ uint64(length)) * 0x9e3779b97f4a7c15 >> 58)
}

// NewScanner returns a Scanner without look-ups.
func NewScanner() *Scanner {
	return &Scanner{root: trie{slot: -1}, nodes: 1, paths: map[string]Slot{}, keys: map[string]Slot{}}
}

// Slots is the number of slots that Scan fills.
func (x *Scanner) Slots() int { return x.slots }

// Path returns the slot of a dotted path such as "data.id", adding it if it is new.
func (x *Scanner) Path(path string) Slot {
	if s, ok := x.paths[path]; ok {
		return s
	}
	s := x.newSlot()
	x.paths[path] = s
	t := &x.root
	for key := range strings.SplitSeq(path, ".") {
		t = x.child(t, key)
	}
	t.slot = s
	return s
}

// Find returns the slot of a bare key such as "session", adding it if it is new.
func (x *Scanner) Find(key string) Slot {
	if s, ok := x.keys[key]; ok {
		return s
	}
	s := x.newSlot()
	x.keys[key] = s
	n := nameOf(key)
	x.finds = append(x.finds, findKey{n, s})
	x.findBits |= bit(n.head, len(key))
	return s
}

func (x *Scanner) newSlot() Slot {
	s := Slot(x.slots)
	x.slots++
	return s
}

func (x *Scanner) child(t *trie, key string) *trie {
	for _, k := range t.kids {
		if k.key.text == key {
			return k.to
		}
	}
	k := &trie{slot: -1, node: int32(x.nodes)}
	x.nodes++
	t.kids = append(t.kids, step{nameOf(key), k})
	return k
}

// Scan is the reusable state of one pass; it belongs to one goroutine.
type Scan struct {
	b     []byte
	x     *Scanner
	spans []Span
	// seen marks the trie nodes met, to notice a key that comes twice.
	seen []bool
	// nulls counts the bare keys whose present value is null: they must be forgotten at the end of their object.
	nulls int
}

// Run finds all look-ups of x in b, an object of valid JSON as Parser.Parse returns it. The spans stay
// valid until the next Run.
func (s *Scan) Run(x *Scanner, b []byte) []Span {
	s.b, s.x, s.nulls = b, x, 0
	s.spans = reset(s.spans, x.slots)
	s.seen = reset(s.seen, x.nodes)
	if i := s.space(0); i < len(b) && b[i] == '{' {
		s.object(i, &x.root)
	}
	return s.spans
}

func reset[T any](v []T, n int) []T {
	if cap(v) < n {
		return make([]T, n)
	}
	v = v[:n]
	clear(v)
	return v
}

func (s *Scan) space(i int) int {
	for i < len(s.b) && s.b[i] <= ' ' {
		i++
	}
	return i
}

// object reads the object at b[i] and returns the index behind it; t is nil below the paths looked for.
func (s *Scan) object(i int, t *trie) int {
	b, start := s.b, int32(i)
	i++
	for {
		for i < len(b) && (b[i] <= ' ' || b[i] == ',') {
			i++
		}
		if i >= len(b) || b[i] == '}' {
			break
		}
		keyStart := i
		var escaped bool
		i, escaped = s.text(i)
		keyEnd := max(keyStart+1, i-1)
		key := b[keyStart+1 : keyEnd]
		head, tail := nameAt(b, keyStart+1, keyEnd)
		if escaped {
			key = []byte(gjson.ParseBytes(b[keyStart:i]).Str)
			head, tail = nameAt(key, 0, len(key))
		}
		for i < len(b) && (b[i] <= ' ' || b[i] == ':') {
			i++
		}
		if i >= len(b) {
			break
		}
		var match *trie
		if t != nil {
			for k := range t.kids {
				if t.kids[k].key.is(head, tail, key) {
					match = t.kids[k].to
					break
				}
			}
			if match != nil {
				if s.seen[match.node] {
					s.forget(match)
				}
				s.seen[match.node] = true
			}
		}
		span := Span{Start: int32(i), Kind: b[i]}
		switch b[i] {
		case '"':
			i, span.Escaped = s.text(i)
		case '{':
			if match != nil && match.kids != nil || s.x.finds != nil {
				i = s.object(i, match)
			} else {
				i = s.skip(i)
			}
		case '[':
			i = s.skip(i)
		case 't', 'f', 'n':
			i = s.literal(i)
		default:
			span.Kind = '0'
			i = s.literal(i)
		}
		span.End = int32(min(i, len(b)))
		if match != nil && match.slot >= 0 {
			s.spans[match.slot] = span
		}
		if s.x.findBits&bit(head, len(key)) != 0 {
			s.found(head, tail, key, span, start)
		}
	}
	if s.nulls > 0 && start > 0 {
		s.dropNulls(start)
	}
	return min(i+1, len(b))
}

// found records a bare key of the object that starts at container, unless an earlier object had it.
func (s *Scan) found(head, tail uint64, key []byte, span Span, container int32) {
	for i := range s.x.finds {
		f := &s.x.finds[i]
		if !f.key.is(head, tail, key) {
			continue
		}
		old := &s.spans[f.slot]
		if old.Kind != 0 && old.Start < container {
			return
		}
		if old.Kind == 'n' {
			s.nulls--
		}
		if span.Kind == 'n' {
			s.nulls++
		}
		*old = span
		return
	}
}

// dropNulls forgets the bare keys that are null in the object just left: null hides what is below it, not what follows.
func (s *Scan) dropNulls(container int32) {
	for _, f := range s.x.finds {
		if sp := &s.spans[f.slot]; sp.Kind == 'n' && sp.Start >= container {
			*sp = Span{}
			s.nulls--
		}
	}
}

// forget clears what an earlier member of the same key left in the slots at and below t.
func (s *Scan) forget(t *trie) {
	if t.slot >= 0 {
		s.spans[t.slot] = Span{}
	}
	for _, k := range t.kids {
		s.seen[k.to.node] = false
		s.forget(k.to)
	}
}

const (
	everyByte  = 0x0101010101010101
	everyHigh  = 0x8080808080808080
	quotes     = '"' * everyByte
	backslashs = '\\' * everyByte
)

// text returns the index behind the string that starts at b[i], and whether it holds a backslash.
func (s *Scan) text(i int) (int, bool) {
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

func (s *Scan) escapedText(i int) int {
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
func (s *Scan) skip(i int) int {
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

func (s *Scan) literal(i int) int {
	for b := s.b; i < len(b); i++ {
		if c := b[i]; c == ',' || c == '}' || c == ']' || c <= ' ' {
			return i
		}
	}
	return i
}

// CheckPath says what is wrong with a dotted path, nil where nothing is.
func CheckPath(path string) error {
	if path == "" {
		return fmt.Errorf("the path is empty")
	}
	for key := range strings.SplitSeq(path, ".") {
		if key == "" {
			return fmt.Errorf("the path %q has an empty step", path)
		}
	}
	return nil
}

// Empty returns a new Scanner without look-ups, for trying out what is thrown away.
func (x *Scanner) Empty() *Scanner { return NewScanner() }
