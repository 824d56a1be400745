package stream

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/tidwall/gjson"
)

// Headers of packed messages.
const (
	// HeaderFormat carries the version of the packing; a message without it is a plain one.
	HeaderFormat = "Erb-Format"
	// HeaderItems carries the number of events in the message.
	HeaderItems = "Erb-Items"
	// HeaderAttempts carries the attempts that were made with the content before this message was published.
	HeaderAttempts = "Erb-Attempts"
	// HeaderNotBefore carries the time, in Unix milliseconds, before which the content is not to be sent.
	HeaderNotBefore = "Erb-Not-Before"
	// HeaderFirst carries the time, in Unix milliseconds, when the content was first published.
	HeaderFirst = "Erb-First"
	// HeaderRun carries the Run that published a delivery message.
	HeaderRun = "Erb-Run"
)

// formatVersion is the packing that this version writes and reads.
const formatVersion = "1"

// maxItems bounds what a header may promise.
const maxItems = 1 << 20

// Statement is one xAPI statement or Caliper event, ready to be sent.
type Statement struct {
	ID   string
	JSON []byte
}

// Item is what one event became for one router: the unit that has exactly one outcome.
type Item struct {
	// ID identifies the event: by custom the id of its first statement.
	ID string
	// Name is the name of the event.
	Name string
	// Critical says that the item is kept in the bucket of failed events when it cannot be delivered.
	Critical bool
	// Prior is the worst outcome of statements of the event that are settled already; 0 when none is.
	Prior Outcome
	// Statements still to be sent, parent before children.
	Statements []Statement
	// Event is the original event, one JSON object; nil unless the item is critical.
	Event []byte
}

// The keys of the line that precedes an item's documents. Those of no value are left out.
const (
	keyID         = "id"
	keyName       = "name"
	keyCritical   = "critical"   // true
	keyPrior      = "prior"      // Item.Prior as a number
	keyStatements = "statements" // their ids
	keyEvent      = "event"      // true: the original event follows the statements
)

// appendMeta appends the line of an item.
func appendMeta(dst []byte, it *Item) []byte {
	dst = gjson.AppendJSONString(append(dst, `{"`+keyID+`":`...), it.ID)
	if it.Name != "" {
		dst = gjson.AppendJSONString(append(dst, `,"`+keyName+`":`...), it.Name)
	}
	if it.Critical {
		dst = append(dst, `,"`+keyCritical+`":true`...)
	}
	if it.Prior != 0 {
		dst = strconv.AppendUint(append(dst, `,"`+keyPrior+`":`...), uint64(it.Prior), 10)
	}
	dst = append(dst, `,"`+keyStatements+`":[`...)
	for i := range it.Statements {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = gjson.AppendJSONString(dst, it.Statements[i].ID)
	}
	dst = append(dst, ']')
	if len(it.Event) > 0 {
		dst = append(dst, `,"`+keyEvent+`":true`...)
	}
	return append(dst, '}', '\n')
}

// readMeta reads the line of an item: the item with the ids of its statements, and whether the event follows. Keys that
// it does not know are skipped.
func readMeta(line []byte) (it Item, event, ok bool) {
	if !gjson.ValidBytes(line) {
		return it, false, false
	}
	meta := gjson.ParseBytes(line)
	ok = meta.IsObject()
	text := func(v gjson.Result) string {
		ok = ok && v.Type == gjson.String
		return v.Str
	}
	truth := func(v gjson.Result) bool {
		ok = ok && v.IsBool()
		return v.Type == gjson.True
	}
	meta.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case keyID:
			it.ID = text(v)
		case keyName:
			it.Name = text(v)
		case keyCritical:
			it.Critical = truth(v)
		case keyPrior:
			n, err := strconv.ParseUint(v.Raw, 10, 8)
			it.Prior, ok = Outcome(n), ok && err == nil
		case keyStatements:
			ok = ok && v.IsArray()
			it.Statements = nil
			v.ForEach(func(_, id gjson.Result) bool {
				it.Statements = append(it.Statements, Statement{ID: text(id)})
				return ok
			})
		case keyEvent:
			event = truth(v)
		}
		return ok
	})
	return it, event, ok && len(it.Statements) > 0
}

// AppendItem packs an item onto dst. The format is lines of JSON: one line that describes the item, one line per
// statement, and one line with the original event where there is one. Line ends inside the documents, which can
// only be white space, become blanks.
func AppendItem(dst []byte, it Item) []byte {
	dst = appendMeta(dst, &it)
	for _, s := range it.Statements {
		dst = appendLine(dst, s.JSON)
	}
	if len(it.Event) > 0 {
		dst = appendLine(dst, it.Event)
	}
	return dst
}

func appendLine(dst, doc []byte) []byte {
	from := len(dst)
	dst = append(dst, doc...)
	for i := from; ; i++ {
		n := bytes.IndexByte(dst[i:], '\n')
		if n < 0 {
			break
		}
		i += n
		dst[i] = ' '
	}
	return append(dst, '\n')
}

// packedHeader returns the header of a message of n items.
func packedHeader(n int) nats.Header {
	return nats.Header{HeaderFormat: {formatVersion}, HeaderItems: {strconv.Itoa(n)}}
}

// Packer packs the items of one subject into messages, each as soon as it is there. It is used by one goroutine.
type Packer struct {
	// Subject of the messages.
	Subject string
	// ID is what their ids start with. Behind it stand the number of the message and a sum of the ids of its items: so
	// the same items make the same messages, and publishing them again is harmless, while other items under the same ID
	// are never taken for them.
	ID string
	// MaxItems and MaxBytes bound a message; 0: no limit. An item that is over MaxBytes by itself stands in a message
	// of its own.
	MaxItems, MaxBytes int
	// Memory, if set, is where the memory of messages comes from: a *[]byte, or nil for none. Who publishes them may put
	// it there again.
	Memory *sync.Pool
	// Size is what the memory of a message has room for, in bytes, where there is none in Memory; 0: a little.
	Size int

	out  []Message
	data []byte
	n    int
	sum  uint64
}

// The parameters of FNV-1a.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// Add packs an item; its statements are not used any more when it returns.
func (p *Packer) Add(it Item) {
	if p.data == nil {
		p.data = p.memory()
	}
	was := len(p.data)
	p.data = AppendItem(p.data, it)
	if p.n > 0 && p.MaxBytes > 0 && len(p.data) > p.MaxBytes {
		last := append(p.memory(), p.data[was:]...)
		p.data = p.data[:was]
		p.flush()
		p.data = last
	}
	if p.n == 0 {
		p.sum = fnvOffset
	}
	for i := range len(it.ID) {
		p.sum = (p.sum ^ uint64(it.ID[i])) * fnvPrime
	}
	p.sum = (p.sum ^ '\n') * fnvPrime
	if p.n++; p.MaxItems > 0 && p.n >= p.MaxItems {
		p.flush()
	}
}

func (p *Packer) memory() []byte {
	if p.Memory != nil {
		if b, ok := p.Memory.Get().(*[]byte); ok {
			return (*b)[:0]
		}
	}
	return make([]byte, 0, max(p.Size, 1<<10))
}

func (p *Packer) flush() {
	if p.n > 0 {
		id := fmt.Sprintf("%s.%d.%016x", p.ID, len(p.out), p.sum)
		p.out = append(p.out, Message{Subject: p.Subject, ID: id, Header: packedHeader(p.n), Data: p.data})
	}
	p.data, p.n = nil, 0
}

// Messages returns all that was packed. The packer is not used any more after that.
func (p *Packer) Messages() []Message {
	p.flush()
	return p.out
}

// Pack puts items, in order, into as few messages as the limits of a Packer allow.
func Pack(subject, id string, items []Item, maxItems, maxBytes int) []Message {
	p := Packer{Subject: subject, ID: id, MaxItems: maxItems, MaxBytes: maxBytes}
	for _, it := range items {
		p.Add(it)
	}
	return p.Messages()
}

// Unpack reads the items of a message. They share memory with data. Its errors wrap ErrFrame.
func Unpack(h nats.Header, data []byte) ([]Item, error) {
	n, err := packedCount(h)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: header %s is missing", ErrFrame, HeaderFormat)
	}
	rest := data
	line := func() ([]byte, bool) {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return nil, false
		}
		l := rest[:i:i]
		rest = rest[i+1:]
		return l, len(l) > 0
	}
	items := make([]Item, 0, min(n, 1024))
	for len(rest) > 0 {
		l, _ := line() // nothing is no description
		it, event, ok := readMeta(l)
		if !ok || len(it.Statements) > len(rest) {
			return nil, fmt.Errorf("%w: item %d of %d has no readable description", ErrFrame, len(items)+1, n)
		}
		for i := range it.Statements {
			if it.Statements[i].JSON, ok = line(); !ok {
				return nil, fmt.Errorf("%w: item %d of %d ends early", ErrFrame, len(items)+1, n)
			}
		}
		if event {
			if it.Event, ok = line(); !ok {
				return nil, fmt.Errorf("%w: item %d of %d ends early", ErrFrame, len(items)+1, n)
			}
		}
		items = append(items, it)
	}
	if len(items) != n {
		return nil, fmt.Errorf("%w: %d items where the header says %d", ErrFrame, len(items), n)
	}
	return items, nil
}

// packedCount returns the number of items that the headers promise, 0 for a plain message.
func packedCount(h nats.Header) (int, error) {
	switch h.Get(HeaderFormat) {
	case "":
		return 0, nil
	case formatVersion:
	default:
		return 0, fmt.Errorf("%w: the packing version in header %s is not %s: written by a newer erbd?", ErrFrame, HeaderFormat, formatVersion)
	}
	n, err := strconv.Atoi(h.Get(HeaderItems))
	if err != nil || n < 1 || n > maxItems {
		return 0, fmt.Errorf("%w: header %s is no usable count", ErrFrame, HeaderItems)
	}
	return n, nil
}

// Count estimates the events of a message by its header: 1 for one that is not packed.
func Count(m jetstream.Msg) int {
	n, err := packedCount(m.Headers())
	if err != nil {
		return 1
	}
	return max(n, 1)
}

// headerInt returns a header's number, 0 when it is absent or no number.
func headerInt(h nats.Header, name string) int64 {
	n, err := strconv.ParseInt(h.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// headerTime returns a header's Unix milliseconds as a time, the zero time when it is absent.
func headerTime(h nats.Header, name string) time.Time {
	if n := headerInt(h, name); n > 0 {
		return time.UnixMilli(n)
	}
	return time.Time{}
}
