package event

import (
	"bytes"
	"errors"
	"fmt"
)

// field is the member of one of the root's known keys; the zero field is absent.
func (p *Parser) field(object []byte, at int32) rootField {
	if at == 0 {
		return rootField{}
	}
	m := &p.scan.members[at-1]
	return rootField{raw: m.value.Raw(object), member: m, at: at - 1}
}

type rootField struct {
	raw    []byte
	member *member
	at     int32 // in the members
}

func (f rootField) present() bool    { return f.member != nil }
func (f rootField) isText() bool     { return f.present() && f.raw[0] == '"' }
func (f rootField) holdsText() bool  { return f.isText() && len(f.raw) > 2 }
func (f rootField) holdsValue() bool { return f.present() && f.raw[0] != 'n' && string(f.raw) != `""` }

// normalise brings a scanned object to the emitted shape.
func (p *Parser) normalise(object []byte) (Event, error) {
	fields := p.scan.fields()
	f := func(key field) rootField { return p.field(object, fields[key]) }
	value := f(fieldEvent)
	logLine := value.present() && !f(fieldData).present()
	name := f(fieldName)
	if logLine && !name.holdsText() {
		name = f(fieldEventType)
	}
	if !name.holdsText() {
		return Event{}, ErrNoName
	}
	ev := Event{Name: p.name(name.raw), JSON: object, members: p.scan.members}
	if !logLine {
		if p.scan.breaks {
			p.out = appendOneLine(p.out[:0], object, true)
			ev.JSON = p.out
		}
		return ev, nil
	}

	at, timestamp := f(fieldTime), f(fieldTimestamp)
	named := name.at+1 == fields[fieldName]
	data, inside, dataBreaks, err := p.data(value)
	if err != nil {
		return Event{}, err
	}
	p.out = appendOneLine(p.out[:0], object[:len(object)-1], p.scan.breaks)
	p.add("data", data, inside, dataBreaks)
	if at.holdsValue() && !timestamp.holdsValue() {
		p.add("timestamp", at.raw, p.inside(at), p.scan.breaks)
	}
	if !named {
		p.add("name", name.raw, p.inside(name), false)
	}
	p.out = append(p.out, '}')
	ev.JSON, ev.members = p.out, p.scan.members
	return ev, nil
}

// part is a member with those in its value, as they were noted.
type part struct {
	members []member
	first   int32 // the index that the first one of its value had
	start   int32 // where the value was
	value   Span
}

// inside is the part of a field.
func (p *Parser) inside(f rootField) part {
	m := p.scan.members[f.at]
	return part{p.scan.members[f.at+1 : m.next], f.at + 1, m.value.Start, m.value}
}

// add appends a member to the object in p.out and to the members.
func (p *Parser) add(key string, value []byte, inside part, breaks bool) {
	p.out = append(append(append(p.out, ',', '"'), key...), '"', ':')
	start := int32(len(p.out))
	p.out = appendOneLine(p.out, value, breaks)
	m := member{key: span32{start - 2 - int32(len(key)), start - 2}, value: inside.value}
	m.head, m.tail = nameAt(p.out, int(m.key.start), int(m.key.end))
	m.value.Start, m.value.End = start, int32(len(p.out))
	first := int32(len(p.scan.members)) + 1
	m.next = first + int32(len(inside.members))
	p.scan.members = append(p.scan.members, m)
	move := start - inside.start
	for _, m := range inside.members {
		m.key.start, m.key.end = m.key.start+move, m.key.end+move
		m.value.Start, m.value.End = m.value.Start+move, m.value.End+move
		m.next += first - inside.first
		p.scan.members = append(p.scan.members, m)
	}
}

// data returns the JSON value that `event` stands for, with the members in it,
// and whether line breaks may stand in it.
func (p *Parser) data(value rootField) (json []byte, inside part, breaks bool, err error) {
	if !value.isText() {
		return value.raw, p.inside(value), p.scan.breaks, nil
	}
	raw := value.raw
	p.text = appendUnquoted(p.text[:0], raw[1:len(raw)-1])
	text := bytes.Trim(p.text, " \t\r\n")
	end, err := p.inner.value(text, p.limits.MaxDepth-1)
	switch {
	case errors.Is(err, ErrTooDeep):
		return nil, part{}, false, fmt.Errorf("%w: more than %d levels, with the json in the text of `event`", ErrTooDeep, p.limits.MaxDepth)
	case err != nil || end < len(text):
		return raw, p.inside(value), false, nil // plain text
	}
	return text, part{members: p.inner.members, value: valueSpan(text)}, p.inner.breaks, nil
}

// valueSpan is the span of valid JSON as a whole.
func valueSpan(json []byte) Span {
	s := Span{End: int32(len(json)), Kind: json[0]}
	switch {
	case s.Kind == '"':
		s.Escaped = bytes.IndexByte(json, '\\') >= 0
	case s.Kind == '-' || s.Kind >= '0' && s.Kind <= '9':
		s.Kind = '0'
	}
	return s
}

// appendOneLine appends valid JSON; where it has line breaks, with a space for
// each: within a text no raw line break can stand, so these only part tokens.
func appendOneLine(dst, json []byte, breaks bool) []byte {
	from := len(dst)
	dst = append(dst, json...)
	if breaks {
		for i := from; i < len(dst); i++ {
			if dst[i] == '\n' || dst[i] == '\r' {
				dst[i] = ' '
			}
		}
	}
	return dst
}
