package expr

import (
	"unsafe"

	"github.com/erbd/erbd/engine/event"
)

// objects remembers the members of the objects and lists that an event's expressions look into, so that each is read
// once, however many of its members are asked for.
type objects struct {
	known   [8]known
	next    int // the place in known that is taken next
	entries []event.Entry
}

type known struct {
	json     *byte
	length   int
	from, to int
}

// maxKnown is the largest object that is remembered, in bytes: an entry takes more memory than the member itself.
const maxKnown = 64 << 10

// forget drops all objects; the memory of their texts is about to be used anew.
func (o *objects) forget() {
	if o.next > 0 || o.known[0].json != nil {
		o.known, o.next = [8]known{}, 0
	}
	o.entries = o.entries[:0]
}

// of returns the members of an object or list; false where it is too large to be remembered.
func (o *objects) of(json string) ([]event.Entry, bool) {
	p := unsafe.StringData(json)
	for i := range o.known {
		if k := &o.known[i]; k.json == p && k.length == len(json) {
			return o.entries[k.from:k.to], true
		}
	}
	if len(json) > maxKnown || len(o.entries) > maxKnown {
		return nil, false
	}
	from := len(o.entries)
	o.entries = event.AppendEntries(o.entries, json)
	o.known[o.next] = known{p, len(json), from, len(o.entries)}
	o.next = (o.next + 1) % len(o.known)
	return o.entries[from:], true
}

// member is a member of an object, null where it has none; where a key comes twice the last one counts.
func (f *Frame) member(v Value, key event.Key) Value {
	if v.kind != Object {
		return NullValue
	}
	json := v.str()
	entries, ok := f.objects.of(json)
	if !ok {
		return spanValue(json, event.Member(json, key.Text()))
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Has(key) {
			return spanValue(json, entries[i].Value)
		}
	}
	return NullValue
}

// each calls fn for the members of an object or the items of a list, in order, until it returns false.
func (f *Frame) each(json string, fn func(value event.Span) bool) {
	entries, ok := f.objects.of(json)
	if !ok {
		event.Members(json, func(_ string, value event.Span) bool { return fn(value) })
		return
	}
	for i := range entries {
		if !fn(entries[i].Value) {
			return
		}
	}
}
