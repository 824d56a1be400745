package expr

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
)

const hexDigits = "0123456789abcdef"

// plain marks the ASCII bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string. Only what JSON demands is escaped.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped appends the inside of a JSON string.
func AppendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := nextEscape(s, 0); i < len(s); i = nextEscape(s, i+1) {
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, s[i])
		start = i + 1
	}
	return append(dst, s[start:]...)
}

const (
	everyByte = 0x0101010101010101
	everyHigh = 0x8080808080808080
)

// nextEscape is the index of the first byte from i on that JSON escapes, len(s) where there is none. It looks at
// eight bytes at a time.
func nextEscape(s string, i int) int {
	for i+8 <= len(s) {
		w := binary.LittleEndian.Uint64(unsafe.Slice(unsafe.StringData(s[i:]), 8))
		quote, slash := w^('"'*everyByte), w^('\\'*everyByte)
		control := (w - 0x20*everyByte) &^ w
		if m := (control | (quote-everyByte)&^quote | (slash-everyByte)&^slash) & everyHigh; m != 0 {
			// A borrow can mark a byte above a true one, never below it.
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for ; i < len(s); i++ {
		if !plain[s[i]] {
			return i
		}
	}
	return len(s)
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\t':
		return append(dst, '\\', 't')
	case '\r':
		return append(dst, '\\', 'r')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// appendDouble writes the shortest digits that read back as f, with a fraction or an exponent, so that a
// double never looks like a whole number: 1.0, 0.1, 1e+16, 1e-05.
func appendDouble(dst []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	// Times and grades have few decimals: n thousandths print without the search for the shortest digits.
	if n := math.Round(f * 1000); math.Abs(n) < 1e15 && n/1000 == f && (f != 0 || !math.Signbit(f)) {
		return appendThousandths(dst, int64(n))
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	for _, c := range dst[start:] {
		if c == '.' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

func appendThousandths(dst []byte, n int64) []byte {
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	dst = strconv.AppendInt(dst, n/1000, 10)
	d1, d2, d3 := byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10)
	switch {
	case d3 != '0':
		return append(dst, '.', d1, d2, d3)
	case d2 != '0':
		return append(dst, '.', d1, d2)
	}
	return append(dst, '.', d1)
}

// appendSpaced rewrites JSON text with a space behind ':' and ',' and canonical numbers and strings, the
// form that statement ids are computed from. ascii writes every other character as \uXXXX.
func appendSpaced(dst []byte, raw string, ascii bool) []byte {
	if out, ok := appendSpacedPlain(dst, raw, ascii); ok {
		return out
	}
	return appendSpacedAny(dst, gjson.Parse(raw), ascii)
}

// appendSpacedAny is appendSpaced for any JSON.
func appendSpacedAny(dst []byte, r gjson.Result, ascii bool) []byte {
	switch {
	case r.IsObject():
		dst = append(dst, '{')
		first := true
		r.ForEach(func(k, v gjson.Result) bool {
			if !first {
				dst = append(dst, ',', ' ')
			}
			first = false
			dst = appendText(dst, textOf(k), ascii)
			dst = append(dst, ':', ' ')
			dst = appendSpacedAny(dst, v, ascii)
			return true
		})
		return append(dst, '}')
	case r.IsArray():
		dst = append(dst, '[')
		first := true
		r.ForEach(func(_, v gjson.Result) bool {
			if !first {
				dst = append(dst, ',', ' ')
			}
			first = false
			dst = appendSpacedAny(dst, v, ascii)
			return true
		})
		return append(dst, ']')
	case r.Type == gjson.String:
		return appendText(dst, textOf(r), ascii)
	}
	return JSONValue(r.Raw).AppendJSON(dst)
}

// appendSpacedPlain is appendSpaced for compact JSON of texts without escapes, literals and short whole numbers,
// which is nearly all there is; false for anything else.
func appendSpacedPlain(dst []byte, raw string, ascii bool) ([]byte, bool) {
	start, run := len(dst), 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			if i = plainEnd(raw, i+1, ascii); i < 0 {
				return dst[:start], false
			}
		case c == ':' || c == ',':
			dst = append(append(dst, raw[run:i+1]...), ' ')
			run = i + 1
		case c == '{' || c == '}' || c == '[' || c == ']' || c >= 'a' && c <= 'z':
		case c >= '0' && c <= '9':
			first := i
			for i+1 < len(raw) && raw[i+1] >= '0' && raw[i+1] <= '9' {
				i++
			}
			if i-first >= 18 || i+1 < len(raw) && (raw[i+1] == '.' || raw[i+1]|0x20 == 'e') {
				return dst[:start], false
			}
		default:
			return dst[:start], false
		}
	}
	return append(dst, raw[run:]...), true
}

// plainEnd is the index of the quote that ends the text of a JSON string from i on; -1 where an escape stands in it
// or, where ascii is asked for, a character beyond ASCII.
func plainEnd(s string, i int, ascii bool) int {
	high := uint64(0) // finds 0x7f and above
	if ascii {
		high = everyHigh
	}
	for i+8 <= len(s) {
		w := binary.LittleEndian.Uint64(unsafe.Slice(unsafe.StringData(s[i:]), 8))
		quote, slash := w^('"'*everyByte), w^('\\'*everyByte)
		if m := ((quote-everyByte)&^quote|(slash-everyByte)&^slash)&everyHigh | (w|(w+everyByte))&high; m != 0 {
			// A borrow or carry can mark a byte above a true one, never below it.
			i += bits.TrailingZeros64(m) >> 3
			break
		}
		i += 8
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i
		case c == '\\' || ascii && c >= 0x7f:
			return -1
		}
	}
	return -1
}

// asciiRun is how many bytes of s, at least, stand for themselves in a JSON string of ASCII.
func asciiRun(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(unsafe.Slice(unsafe.StringData(s[i:]), 8))
		quote, slash := w^('"'*everyByte), w^('\\'*everyByte)
		if ((w-0x20*everyByte)&^w|(quote-everyByte)&^quote|(slash-everyByte)&^slash|w|(w+everyByte))&everyHigh != 0 {
			return i
		}
	}
	return i
}

func appendText(dst []byte, s string, ascii bool) []byte {
	if !ascii {
		return AppendString(dst, s)
	}
	dst = append(dst, '"')
	run := asciiRun(s)
	dst = append(dst, s[:run]...)
	for i := run; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c == 0x7f || !plain[c] {
				dst = appendEscape(dst, c)
			} else {
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if r >= 0x10000 {
			r -= 0x10000
			dst = appendUnit(dst, 0xd800+uint16(r>>10))
			dst = appendUnit(dst, 0xdc00+uint16(r&0x3ff))
			continue
		}
		dst = appendUnit(dst, uint16(r))
	}
	return append(dst, '"')
}

func appendUnit(dst []byte, u uint16) []byte {
	return append(dst, '\\', 'u', hexDigits[u>>12], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// textOf is the text of a JSON string or key. gjson itself swallows what follows a lone surrogate.
func textOf(r gjson.Result) string {
	if strings.IndexByte(r.Raw, '\\') < 0 {
		return r.Str
	}
	return event.Unquote(r.Raw)
}
