package event

import (
	"bytes"
	"errors"
	"fmt"
)

// normalise brings a scanned object to the emitted shape.
func (p *Parser) normalise(object []byte) (Event, error) {
	f := &p.scan.fields
	logLine := f[fieldEvent].present() && !f[fieldData].present()
	name := f[fieldName]
	if logLine && !name.holdsText(object) {
		name = f[fieldEventType]
	}
	if !name.holdsText(object) {
		return Event{}, ErrNoName
	}
	ev := Event{Name: p.name(name.of(object)), JSON: object}
	if !logLine {
		if p.scan.breaks {
			p.out = appendOneLine(p.out[:0], object, true)
			ev.JSON = p.out
		}
		return ev, nil
	}

	data, dataBreaks, err := p.data(object)
	if err != nil {
		return Event{}, err
	}
	out := appendOneLine(p.out[:0], object[:len(object)-1], p.scan.breaks)
	out = appendOneLine(append(out, `,"data":`...), data, dataBreaks)
	if f[fieldTime].holdsValue(object) && !f[fieldTimestamp].holdsValue(object) {
		out = appendOneLine(append(out, `,"timestamp":`...), f[fieldTime].of(object), p.scan.breaks)
	}
	if name != f[fieldName] {
		out = append(append(out, `,"name":`...), name.of(object)...)
	}
	p.out = append(out, '}')
	ev.JSON = p.out
	return ev, nil
}

// data returns the JSON value that `event` stands for, and whether line breaks
// may stand in it.
func (p *Parser) data(object []byte) (json []byte, breaks bool, err error) {
	value := p.scan.fields[fieldEvent]
	raw := value.of(object)
	if !value.isString(object) {
		return raw, p.scan.breaks, nil
	}
	p.text = appendUnquoted(p.text[:0], raw[1:len(raw)-1])
	text := bytes.Trim(p.text, " \t\r\n")
	end, err := p.inner.value(text, p.limits.MaxDepth-1)
	switch {
	case errors.Is(err, ErrTooDeep):
		return nil, false, fmt.Errorf("%w: more than %d levels, with the json in the text of `event`", ErrTooDeep, p.limits.MaxDepth)
	case err != nil || end < len(text):
		return raw, false, nil // plain text
	}
	return text, p.inner.breaks, nil
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
