package store

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"
)

// consumerMagic begins the state of a consumer, followed by its version.
const consumerMagic = 22

// clockError is how much later than now a message may have been delivered, by the clock of before.
const clockError = time.Minute

// consumer is what the files of a consumer say.
type consumer struct {
	name, state string // the path of the state
	filter      string
	delivered   uint64
	pending     []uint64 // delivered but not acknowledged, sorted
}

// waits reports whether a message may still come to its end by this consumer.
func (c *consumer) waits(subject string, seq uint64) bool {
	if c.filter != "" && c.filter != subject {
		return false
	}
	_, under := slices.BinarySearch(c.pending, seq)
	return under || seq > c.delivered
}

// readConsumer reads the state of a consumer and reports whether the server could make sense of it: where it cannot it
// does without the consumer. The file has no checksum. An empty one is that of a new consumer.
func readConsumer(b []byte) (c *consumer, ok bool) {
	c = &consumer{}
	if len(b) == 0 {
		return c, true
	}
	if len(b) < 2 || b[0] != consumerMagic || b[1] != 2 {
		return nil, false
	}
	at, ok := 2, true
	number := func() uint64 {
		v, n := binary.Uvarint(b[at:])
		if n <= 0 {
			ok, n = false, 0
		}
		at += n
		return v
	}
	moment := func() int64 {
		v, n := binary.Varint(b[at:])
		if n <= 0 {
			ok, n = false, 0
		}
		at += n
		return v
	}
	number() // acknowledged, by the consumer's own count
	floor := number()
	number() // delivered, by the same count
	c.delivered = number()
	pending := number()
	// With nothing under way all that was delivered is acknowledged.
	if !ok || floor > c.delivered || pending == 0 && floor != c.delivered || pending > uint64(len(b)) {
		return nil, false
	}
	base, latest := int64(0), time.Now().Add(clockError).Unix() // seconds
	if pending > 0 {
		base = moment()
	}
	for i := uint64(0); i < pending && ok; i++ {
		c.pending = append(c.pending, floor+number())
		number()
		// A message is given out again some time after it was: what was given out in the future would not be.
		ok = base-moment() < latest && ok
	}
	again := number()
	for i := uint64(0); i < again && ok; i++ {
		number()
		number()
	}
	slices.Sort(c.pending)
	return c, ok && at == len(b)
}

// filterOf returns the subject that a consumer is for, "" for all, by its settings.
func filterOf(meta []byte) string {
	var settings struct {
		Filter string `json:"filter_subject"`
	}
	if json.Unmarshal(meta, &settings) != nil {
		return ""
	}
	return settings.Filter
}
