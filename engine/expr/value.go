package expr

import (
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/erbd/erbd/engine/event"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds of a Value. Number is a number that neither int64 nor float64 holds exactly; it can be passed
// on but not computed with.
const (
	Null Kind = iota
	Bool
	Int
	Double
	Number
	Text
	Object
	List
	Failed
)

var kindNames = [...]string{"null", "true or false", "a whole number", "a number", "a number beyond 64 bits", "text", "an object", "a list", "an error"}

// String names the kind in the words of error messages, such as "text" or "an object".
func (k Kind) String() string { return kindNames[k] }

// Value is the result of an expression. Objects and lists are JSON text, so that the order of members and
// the digits of numbers survive. A Value may alias the event and the Frame that made it: it is valid until
// that Frame starts on the next event.
//
// It is four words and no more: the compiler keeps such values in registers.
type Value struct {
	// ptr is the text (*byte) or the *Failure; num is its length, or the number.
	ptr  unsafe.Pointer
	num  uint64
	kind Kind
	// plain is set for Text that JSON writes without escapes, where that is known.
	plain bool
}

// NullValue is the absent value.
var NullValue = Value{}

// BoolValue returns a Bool.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// IntValue returns an Int.
func IntValue(i int64) Value { return Value{kind: Int, num: uint64(i)} }

// DoubleValue returns a Double; NaN and the infinities, which JSON cannot write, give a failure.
func DoubleValue(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fail("the number is not finite")
	}
	return Value{kind: Double, num: math.Float64bits(f)}
}

// TextValue returns a Text.
func TextValue(s string) Value { return stringValue(Text, s) }

func stringValue(kind Kind, s string) Value {
	return Value{kind: kind, ptr: unsafe.Pointer(unsafe.StringData(s)), num: uint64(len(s))}
}

// plainValue is a Text that JSON writes without escapes.
func plainValue(s string) Value {
	return Value{kind: Text, ptr: unsafe.Pointer(unsafe.StringData(s)), num: uint64(len(s)), plain: true}
}

// JSONValue returns the value of JSON text, which must be valid.
func JSONValue(raw string) Value {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return NullValue
	}
	s := event.Span{End: int32(len(raw)), Kind: raw[0]}
	if c := raw[0]; c == '-' || c >= '0' && c <= '9' {
		s.Kind = '0'
	}
	s.Escaped = s.Kind == '"' && strings.IndexByte(raw, '\\') >= 0
	return spanValue(raw, s)
}

// spanValue is the value of a span of the event's JSON text.
func spanValue(json string, s event.Span) Value {
	raw := json[s.Start:s.End]
	switch s.Kind {
	case '"':
		if s.Escaped {
			return TextValue(event.Unquote(raw))
		}
		return plainValue(raw[1 : len(raw)-1])
	case '0':
		return numberValue(raw)
	case 't':
		return BoolValue(true)
	case 'f':
		return BoolValue(false)
	case '{':
		return stringValue(Object, raw)
	case '[':
		return stringValue(List, raw)
	}
	return NullValue
}

func numberValue(raw string) Value {
	digits, n := raw, int64(0)
	if raw[0] == '-' {
		digits = raw[1:]
	}
	for i := range len(digits) {
		d := digits[i] - '0'
		if d > 9 { // a fraction or an exponent
			f, err := strconv.ParseFloat(raw, 64)
			if err != nil {
				return fail("the number is out of range")
			}
			return DoubleValue(f)
		}
		n = n*10 + int64(d)
	}
	if len(digits) > 18 {
		n, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return stringValue(Number, raw)
		}
		return IntValue(n)
	}
	if len(digits) < len(raw) {
		n = -n
	}
	return IntValue(n)
}

// Kind returns the kind of the value.
func (v Value) Kind() Kind { return v.kind }

// IsNull tells whether the value is absent.
func (v Value) IsNull() bool { return v.kind == Null }

// Failure returns why there is no value, nil where there is one.
func (v Value) Failure() *Failure {
	if v.kind != Failed {
		return nil
	}
	return (*Failure)(v.ptr)
}

// str is the text of a Text, or the JSON text of a Number, Object or List; "" of anything else.
func (v Value) str() string {
	if v.kind < Number || v.kind == Failed {
		return ""
	}
	return unsafe.String((*byte)(v.ptr), int(v.num))
}

// Bool returns the truth value of a Bool.
func (v Value) Bool() (b, ok bool) { return v.num != 0, v.kind == Bool }

// Text returns the text of a Text.
func (v Value) Text() (s string, ok bool) { return v.str(), v.kind == Text }

// Raw returns the JSON text of an Object or a List, "" otherwise.
func (v Value) Raw() string {
	if v.kind == Object || v.kind == List {
		return v.str()
	}
	return ""
}

func (v Value) int() int64 { return int64(v.num) }

// float returns the value of an Int or Double as a double.
func (v Value) float() (float64, bool) {
	switch v.kind {
	case Int:
		return float64(int64(v.num)), true
	case Double:
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// isEmpty: "", [] and {} count as absent (the accessor rule of Open edX events).
func (v Value) isEmpty() bool {
	switch v.kind {
	case Null:
		return true
	case Text:
		return v.str() == ""
	case Object, List:
		return isEmptyJSON(v.str())
	}
	return false
}

func isEmptyJSON(raw string) bool {
	for i := 1; i < len(raw)-1; i++ {
		if raw[i] > ' ' {
			return false
		}
	}
	return true
}

// truthy: everything but null, false, 0, "", [] and {}.
func (v Value) truthy() bool {
	switch v.kind {
	case Bool, Int:
		return v.num != 0
	case Double:
		return math.Float64frombits(v.num) != 0
	case Number:
		return true
	}
	return !v.isEmpty()
}

// detached returns a copy that does not alias the event or the frame.
func (v Value) detached() Value {
	switch v.kind {
	case Number, Text, Object, List:
		c := stringValue(v.kind, strings.Clone(v.str()))
		c.plain = v.kind == Text && nextEscape(c.str(), 0) == len(c.str())
		return c
	}
	return v
}

// AppendJSON appends the value as JSON; a failed value appends nothing.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case Null:
		return append(dst, "null"...)
	case Bool:
		return strconv.AppendBool(dst, v.num != 0)
	case Int:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case Double:
		return appendDouble(dst, math.Float64frombits(v.num))
	case Text:
		if v.plain {
			return append(append(append(dst, '"'), v.str()...), '"')
		}
		return AppendString(dst, v.str())
	case Number, Object, List:
		return append(dst, v.str()...)
	}
	return dst
}

// JSON returns the value as JSON text.
func (v Value) JSON() string { return string(v.AppendJSON(nil)) }

// AppendText appends the value as it stands inside text: True and False for booleans, as the reference
// writes them. ok is false for kinds that have no text: null, objects, lists and failures.
func (v Value) AppendText(dst []byte) (out []byte, ok bool) {
	switch v.kind {
	case Text:
		return append(dst, v.str()...), true
	case Int, Double, Number:
		return v.AppendJSON(dst), true
	case Bool:
		if v.num != 0 {
			return append(dst, "True"...), true
		}
		return append(dst, "False"...), true
	}
	return dst, false
}

// KindAt names the kind of what an event has at a dotted path: "absent" where it has nothing there.
func KindAt(json, path string) string {
	v := JSONValue(json)
	for key := range strings.SplitSeq(path, ".") {
		var ok bool
		if v, ok = lookupMember(v, key); !ok {
			return "absent"
		}
	}
	if v.kind == Failed { // a number that is too large
		return Double.String()
	}
	return v.kind.String()
}
