package daemon

import (
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/erbd/erbd/engine/stream"
)

const (
	// badStatements is where the beginning of an event's statements goes that the server cannot carry.
	badStatements = "erb.bad.statements"
	// reasonTooLarge is the reason of their outcome.
	reasonTooLarge = "too_large"
)

// smaller makes of a message that is over the server's limit what may fit: each event by itself, then without the
// original event that a critical one carries. Where the statements of one event alone are too large, the event is
// dropped and counted, and the first half of it kept aside.
func (s *stage) smaller(m stream.Message) []stream.Message {
	if strings.HasPrefix(m.Subject, "erb.bad.") {
		m.Data = m.Data[:len(m.Data)/2]
		return []stream.Message{m}
	}
	router := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	items, err := stream.Unpack(m.Header, m.Data)
	if err == nil && (len(items) > 1 || items[0].Event != nil) {
		if len(items) == 1 {
			items[0].Event = nil
		}
		return s.ledger.counted(s.backend, router, stream.Pack(m.Subject, m.ID+".small", items, 1, 0))
	}
	s.ledger.unsent(s.backend, router, stream.Dropped, reasonTooLarge, max(len(items), 1))
	s.log.Error("event dropped: its statements are larger than the message server takes; the beginning is kept aside",
		"router", router, "bytes", len(m.Data), "limit", "max_payload of the server")
	return []stream.Message{{
		Subject: badStatements, ID: m.ID, Data: m.Data[:len(m.Data)/2],
		Header: nats.Header{stream.HeaderReason: {"the statements of this event are larger than max_payload of the message server"}, stream.HeaderOrigin: {m.Subject}},
	}}
}
