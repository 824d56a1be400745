package event

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	// maxInterned bounds the names that a parser remembers, so that lines with
	// invented names cannot fill the memory; a site has some hundred names.
	maxInterned = 4096
	// maxInternedLength is the longest name remembered, in bytes.
	maxInternedLength = 256
)

// Parser turns lines into events. It keeps its buffers between calls and
// allocates nothing for an event of the emitted shape whose name it has seen.
// The zero value is ready and uses [DefaultLimits]. Not for concurrent use:
// one parser per goroutine.
type Parser struct {
	limits Limits
	scan   validator
	inner  validator // for JSON within the text of `event`
	text   []byte    // that text, decoded
	out    []byte    // the normalised event
	names  map[string]string
}

// NewParser returns a parser with the given limits; zero fields mean the
// defaults.
func NewParser(limits Limits) *Parser {
	return &Parser{limits: limits.orDefault()}
}

var byteOrderMark = []byte("\ufeff")

// Parse reads one line: one event in either shape, with or without a line end,
// a byte order mark, white space around it and a syslog-like prefix before the
// first brace. Emitted events (those that have `data`) are left as they are. A
// line of a tracking log (`event` and no `data`) keeps its keys, and these are
// appended:
//
//   - data: the value of `event`; where that is a text that holds JSON, the
//     value of that JSON; other texts stay texts;
//   - timestamp: `time`, where there is no `timestamp`;
//   - name: `event_type`, where there is no `name`.
//
// Of duplicate keys the last one counts.
//
// Errors: [ErrEmpty], [ErrTooLarge], [ErrTooDeep], [ErrNotObject], [ErrNoName],
// [ErrInvalidUTF8], [*SyntaxError]. None of them quotes the line. The event is
// valid until the next call and only as long as the line is not changed.
func (p *Parser) Parse(line []byte) (Event, error) {
	if p.limits.MaxBytes == 0 {
		p.limits = DefaultLimits
	}
	whole := bytes.TrimRight(line, " \t\r\n")
	if len(whole) > p.limits.MaxBytes {
		return Event{}, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, p.limits.MaxBytes)
	}
	object, err := locate(whole)
	if err != nil {
		return Event{}, err
	}
	end, err := p.scan.value(object, p.limits.MaxDepth)
	if err == nil && end < len(object) {
		err = &SyntaxError{Offset: end, Expected: "the end of the line after the object"}
	}
	if err != nil {
		return Event{}, p.explain(err, whole, len(whole)-len(object))
	}
	return p.normalise(object)
}

// locate finds where the object of a line starts.
func locate(line []byte) ([]byte, error) {
	object := bytes.TrimLeft(bytes.TrimPrefix(line, byteOrderMark), " \t\r\n")
	if len(object) == 0 {
		return nil, ErrEmpty
	}
	if object[0] == '{' {
		return object, nil
	}
	i := bytes.IndexByte(object, '{')
	if i < 0 {
		return nil, ErrNotObject
	}
	return object[i:], nil
}

// explain moves the offset of a fault from the object to the line. A line that
// is JSON, but no object, may hold a brace: it then looks like a broken event
// behind a prefix.
func (p *Parser) explain(err error, line []byte, before int) error {
	if before > 0 && !errors.Is(err, ErrTooDeep) {
		line = bytes.TrimPrefix(line, byteOrderMark)
		if end, err := p.scan.value(line, p.limits.MaxDepth); err == nil && end == len(line) {
			return ErrNotObject
		}
	}
	if syntax := (*SyntaxError)(nil); errors.As(err, &syntax) {
		syntax.Offset += before
	}
	if encoding := (*encodingError)(nil); errors.As(err, &encoding) {
		encoding.offset += before
	}
	return err
}

// name returns the text of a JSON string, without allocating when it was seen
// before.
func (p *Parser) name(quoted []byte) string {
	raw := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(raw, '\\') >= 0 {
		p.text = appendUnquoted(p.text[:0], raw)
		raw = p.text
	}
	if s, ok := p.names[string(raw)]; ok {
		return s
	}
	s := string(raw)
	if len(p.names) < maxInterned && len(s) <= maxInternedLength {
		if p.names == nil {
			p.names = make(map[string]string)
		}
		p.names[s] = s
	}
	return s
}
