package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
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
	b       []byte
	x       *Scanner
	members []member
	spans   []Span
	// seen marks the trie nodes met, to notice a key that comes twice.
	seen []bool
	// nulls counts the bare keys whose present value is null: they must be forgotten at the end of their object.
	nulls int
	own   validator
}

// Run finds all look-ups of x in an event. The members that the Parser noted while it validated the event are gone
// through, not its bytes; they are noted now for an event that comes from elsewhere, of which nothing is found where
// its JSON is not valid. The spans stay valid until the next Run.
func (s *Scan) Run(x *Scanner, ev Event) []Span {
	s.b, s.x, s.nulls = ev.JSON, x, 0
	s.spans = reset(s.spans, x.slots)
	s.seen = reset(s.seen, x.nodes)
	if s.members = ev.members; s.members == nil {
		if end, err := s.own.value(ev.JSON, math.MaxInt32); err != nil || len(bytes.TrimRight(ev.JSON[end:], " \t\r\n")) > 0 {
			return s.spans
		}
		s.members = s.own.members
	}
	s.object(0, int32(len(s.members)), &x.root, 0)
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

// object goes through the members from and to of the object that starts at container; t is nil below the paths looked
// for.
func (s *Scan) object(from, to int32, t *trie, container int32) {
	for i := from; i < to; {
		m := &s.members[i]
		key, head, tail := m.key.of(s.b), m.head, m.tail
		if m.escaped {
			key = appendUnquoted(nil, key)
			head, tail = nameAt(key, 0, len(key))
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
		if m.value.Kind == '{' && (match != nil && match.kids != nil || s.x.finds != nil) {
			s.object(i+1, m.next, match, m.value.Start)
		}
		if match != nil && match.slot >= 0 {
			s.spans[match.slot] = m.value
		}
		if s.x.findBits&bit(head, len(key)) != 0 {
			s.found(head, tail, key, m.value, container)
		}
		i = m.next
	}
	if s.nulls > 0 && container > 0 {
		s.dropNulls(container)
	}
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
