package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/google/uuid"

	"github.com/erbd/erbd/engine/stream"
)

// place is a line of an input, by its number.
type place struct {
	input int
	line  int64
}

func (p place) before(q place) bool {
	return p.input < q.input || p.input == q.input && p.line < q.line
}

// message is a packed message with the places of its events.
type message struct {
	stream.Message
	events [][]byte
	places []place
}

// batch is what goes in one call of the publisher.
type batch []message

// packer puts events into messages. Its limits depend on nothing but the options, so that the same log gives the same
// messages.
type packer struct {
	items int
	bytes int

	events [][]byte
	places []place
	size   int
	seen   map[[16]byte]int
	run    string // the start of ids that are to be new
	made   int
}

func newPacker(opt Options) *packer {
	p := &packer{items: packItems, bytes: packBytes, seen: map[[16]byte]int{}}
	if opt.Rate > 0 { // a slow flow is to be even
		p.items = min(packItems, max(1, int(opt.Rate/5)))
	}
	if opt.MaxPayload > 0 {
		p.bytes = int(max(1, min(packBytes, opt.MaxPayload-headerRoom)))
	}
	if opt.Again {
		p.run = uuid.NewString()
	}
	return p
}

// add takes an event and returns a message when one is full; then the event may be in the next one.
func (p *packer) add(ev []byte, at place) (full *message) {
	if len(p.events) > 0 && p.size+len(ev)+1 > p.bytes {
		full = p.flush()
	}
	p.events, p.places = append(p.events, ev), append(p.places, at)
	p.size += len(ev) + 1
	if full == nil && len(p.events) >= p.items {
		full = p.flush()
	}
	return full
}

// flush returns the message that is not full yet, nil when there is none.
func (p *packer) flush() *message {
	if len(p.events) == 0 {
		return nil
	}
	sum := sha256.New()
	for _, ev := range p.events {
		sum.Write(ev)
		sum.Write([]byte{'\n'})
	}
	m := &message{events: p.events, places: p.places}
	m.Message = pack(p.id([16]byte(sum.Sum(nil))), p.events)
	p.events, p.places, p.size = nil, nil, 0
	return m
}

func (p *packer) id(content [16]byte) string {
	p.made++
	if p.run != "" {
		return "pub." + p.run + "." + strconv.Itoa(p.made)
	}
	n := p.seen[content]
	p.seen[content] = n + 1
	return "pub." + hex.EncodeToString(content[:]) + "." + strconv.Itoa(n)
}

func pack(id string, events [][]byte) stream.Message {
	return stream.PackEvents(stream.PublishSubject, id, events, 0, 0)[0] // no event is empty
}

// apart returns the events as messages of their own.
func (m *message) apart() []message {
	out := make([]message, len(m.events))
	for i, ev := range m.events {
		out[i] = message{events: m.events[i : i+1], places: m.places[i : i+1]}
		out[i].Message = pack(m.ID+"."+strconv.Itoa(i), [][]byte{ev})
	}
	return out
}
