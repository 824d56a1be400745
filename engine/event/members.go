package event

import (
	"strings"
	"unsafe"
)

// Members calls fn for each member of an object or item of a list, in order, until fn returns false. json is valid
// JSON, such as a value that a Scan found; spans are places in it. key is empty for the items of a list. Anything
// but an object or a list has no members.
func Members(json string, fn func(key string, value Span) bool) {
	s := cursor{unsafe.Slice(unsafe.StringData(json), len(json))}
	i := s.space(0)
	if i >= len(json) || json[i] != '{' && json[i] != '[' {
		return
	}
	object := json[i] == '{'
	i++
	for {
		for i < len(json) && (json[i] <= ' ' || json[i] == ',') {
			i++
		}
		if i >= len(json) || json[i] == '}' || json[i] == ']' {
			return
		}
		key := ""
		if object {
			start := i
			var escaped bool
			i, escaped = s.text(i)
			key = json[start+1 : max(start+1, i-1)]
			if escaped {
				key = Unquote(json[start:i])
			}
			for i < len(json) && (json[i] <= ' ' || json[i] == ':') {
				i++
			}
			if i >= len(json) {
				return
			}
		}
		span := Span{Start: int32(i), Kind: json[i]}
		switch json[i] {
		case '"':
			i, span.Escaped = s.text(i)
		case '{', '[':
			i = s.skip(i)
		case 't', 'f', 'n':
			i = s.literal(i)
		default:
			span.Kind = '0'
			i = s.literal(i)
		}
		span.End = int32(min(i, len(json)))
		if !fn(key, span) {
			return
		}
	}
}

// Key is the key of a member in a form that is quickly compared.
type Key struct{ name name }

// KeyOf returns the Key of a text.
func KeyOf(key string) Key { return Key{nameOf(key)} }

// Text is the key itself.
func (k Key) Text() string { return k.name.text }

// Entry is a member of an object, or an item of a list, which has no key.
type Entry struct {
	key   Key
	Value Span
}

// Has tells whether the member has the key.
func (e *Entry) Has(k Key) bool {
	return e.key.name.head == k.name.head && e.key.name.tail == k.name.tail && e.key.name.text == k.name.text
}

// AppendEntries appends what Members calls its function with.
func AppendEntries(dst []Entry, json string) []Entry {
	Members(json, func(key string, value Span) bool {
		e := Entry{Value: value}
		e.key.name.text = key
		e.key.name.head, e.key.name.tail = nameAt(unsafe.Slice(unsafe.StringData(key), len(key)), 0, len(key))
		dst = append(dst, e)
		return true
	})
	return dst
}

// Member finds a member of an object; where a key comes twice the last one counts. The zero Span means there is none.
func Member(json, key string) (found Span) {
	if !strings.HasPrefix(json, "{") {
		return Span{}
	}
	Members(json, func(k string, v Span) bool {
		if k == key {
			found = v
		}
		return true
	})
	return found
}
