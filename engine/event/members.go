package event

import (
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// Members calls fn for each member of an object or item of a list, in order, until fn returns false. json is valid
// JSON, such as a value that a Scan found; spans are places in it. key is empty for the items of a list. Anything
// but an object or a list has no members.
func Members(json string, fn func(key string, value Span) bool) {
	s := Scan{b: unsafe.Slice(unsafe.StringData(json), len(json))}
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
				key = gjson.Parse(json[start:i]).Str
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
