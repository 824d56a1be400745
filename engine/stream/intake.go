package stream

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"

	"github.com/nats-io/nats.go"
)

// PackEvents packs raw events for the intake, one a line, into messages on subject with ids that start with id.
// The limits are those of Pack. Empty events are left out.
func PackEvents(subject, id string, events [][]byte, maxItems, maxBytes int) []Message {
	var out []Message
	var data []byte
	n := 0
	flush := func() {
		if n > 0 {
			out = append(out, Message{Subject: subject, ID: id + "." + strconv.Itoa(len(out)), Header: packedHeader(n), Data: data})
		}
		data, n = nil, 0
	}
	for _, ev := range events {
		if len(bytes.TrimSpace(ev)) == 0 {
			continue
		}
		if n > 0 && maxBytes > 0 && len(data)+len(ev)+1 > maxBytes {
			flush()
		}
		data = appendLine(data, ev)
		if n++; maxItems > 0 && n >= maxItems {
			flush()
		}
	}
	flush()
	return out
}

// Events yields the raw events of an intake message: the lines of a packed one, the elements of a JSON array, or the
// one event that a plain message holds. It splits and does not validate: what is no JSON is yielded as it stands, so
// that the reader of events rejects it with a reason. The events share memory with data. The error wraps ErrFrame
// and is yielded last, with a nil event.
func Events(h nats.Header, data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n, err := packedCount(h)
		if err != nil {
			yield(nil, err)
			return
		}
		trimmed := bytes.TrimSpace(data)
		switch {
		case n == 0 && len(trimmed) > 0 && trimmed[0] == '[':
			elements(trimmed, yield)
		case n == 0:
			yield(data, nil)
		default:
			got := 0
			for line := range bytes.Lines(data) {
				if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
					continue
				}
				got++
				if !yield(line, nil) {
					return
				}
			}
			if got != n {
				yield(nil, fmt.Errorf("%w: %d events where the header says %d", ErrFrame, got, n))
			}
		}
	}
}

// elements yields the elements of the JSON array b, without recursion. A text that does not end as an array should
// is yielded whole.
func elements(b []byte, yield func([]byte, error) bool) {
	if !closes(b) {
		yield(b, nil)
		return
	}
	depth, start, quoted := 0, 1, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case (c == ',' && depth == 1) || (c == ']' && depth == 1):
			e := bytes.TrimSpace(b[start:i])
			if c == ']' && start == 1 && len(e) == 0 {
				return // an empty array holds no event
			}
			start = i + 1
			if !yield(e, nil) || c == ']' {
				return
			}
		case c == ']' || c == '}':
			depth--
		}
	}
}

// closes reports whether the brackets of b pair up so that the first one closes at the very end.
func closes(b []byte) bool {
	var open []byte
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			open = append(open, c)
		case c == ']' || c == '}':
			if len(open) == 0 || open[len(open)-1] != c-2 {
				return false
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return i == len(b)-1
			}
		}
	}
	return false
}
