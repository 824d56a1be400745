package yamldoc

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Tag is the type of a scalar.
type Tag uint8

const (
	// String is text. It is the zero value.
	String Tag = iota
	// Int is an integer of any size.
	Int
	// Float is a finite number with a fraction or exponent.
	Float
	// Bool is true or false.
	Bool
	// Null is null, or a value that is not there.
	Null
)

// String returns "string", "integer", "number", "boolean" or "null".
func (t Tag) String() string {
	switch t {
	case String:
		return "string"
	case Int:
		return "integer"
	case Float:
		return "number"
	case Bool:
		return "boolean"
	case Null:
		return "null"
	}
	return fmt.Sprintf("tag(%d)", uint8(t))
}

// resolve gives the tag of a plain scalar by the core schema of YAML 1.2. It is not finite for infinities,
// not-a-number and floats too large for 64 bits.
func resolve(text string) (tag Tag, finite bool) {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return Null, true
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return Bool, true
	case ".nan", ".NaN", ".NAN":
		return Float, false
	}
	c := text[0]
	if c != '+' && c != '-' && c != '.' && (c < '0' || c > '9') {
		return String, true
	}
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 {
		return String, true
	}
	switch digits {
	case ".inf", ".Inf", ".INF":
		return Float, false
	}
	if digits == text && len(text) > 2 && text[0] == '0' {
		switch {
		case text[1] == 'o' && only(text[2:], "01234567"), text[1] == 'x' && only(text[2:], "0123456789abcdefABCDEF"):
			return Int, true
		}
	}
	if only(digits, decimals) {
		return Int, true
	}
	if isFloat(digits) {
		v, err := strconv.ParseFloat(text, 64)
		return Float, err == nil && !math.IsInf(v, 0)
	}
	return String, true
}

const decimals = "0123456789"

func only(s, chars string) bool { return s != "" && strings.Trim(s, chars) == "" }

// isFloat matches (\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
func isFloat(s string) bool {
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
		if exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
			exponent = exponent[1:]
		}
		if !only(exponent, decimals) {
			return false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	return (whole != "" || fraction != "") && (whole == "" || only(whole, decimals)) &&
		(fraction == "" || only(fraction, decimals))
}

// number writes an Int or Float as JSON: every digit that the file has, without a plus sign, leading zeros or
// missing digits around the point; hexadecimal and octal in decimal.
func (n *Node) number() string {
	text := n.Text
	if n.Tag == Int && len(text) > 2 && (text[1] == 'x' || text[1] == 'o') {
		if v, ok := new(big.Int).SetString(text, 0); ok {
			return v.String()
		}
	}
	text = strings.TrimPrefix(text, "+")
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	text = strings.TrimLeft(text, "0")
	if text == "" || text[0] < '0' || text[0] > '9' {
		text = "0" + text
	}
	if i := strings.IndexByte(text, '.'); i >= 0 && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') {
		text = text[:i+1] + "0" + text[i+1:]
	}
	return sign + text
}

// Interface returns the value in Go's terms: map[string]any, []any, string, bool, nil, float64 for Float and int64 for
// Int, or a json.Number with all digits where int64 is too small. Of a key that is there twice the first value counts;
// a key that is no scalar is left out.
func (n *Node) Interface() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Mapping:
		m := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			if _, twice := m[e.Key.Text]; !twice && e.Key.Kind == Scalar {
				m[e.Key.Text] = e.Value.Interface()
			}
		}
		return m
	case Sequence:
		s := make([]any, len(n.Items))
		for i, item := range n.Items {
			s[i] = item.Interface()
		}
		return s
	}
	switch n.Tag {
	case Int:
		if v, err := strconv.ParseInt(n.number(), 10, 64); err == nil {
			return v
		}
		return json.Number(n.number())
	case Float:
		v, err := strconv.ParseFloat(n.number(), 64)
		if err != nil {
			return json.Number("0") // Parse has refused the file
		}
		return v
	case Bool:
		return n.isTrue()
	case Null:
		return nil
	}
	return n.Text
}

func (n *Node) isTrue() bool { return n.Text[0] == 't' || n.Text[0] == 'T' }

// AppendJSON appends the value as JSON without white space: keys in the order of the file, numbers with every digit as
// written (in decimal), strings with only the escapes that JSON demands. Duplicate and odd keys are treated as by
// [Node.Interface]. A nil node is null.
func (n *Node) AppendJSON(dst []byte) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	switch n.Kind {
	case Mapping:
		return n.appendObject(dst)
	case Sequence:
		dst = append(dst, '[')
		for i, item := range n.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSON(dst)
		}
		return append(dst, ']')
	}
	switch n.Tag {
	case Int, Float:
		if n.Tag == Float {
			if _, finite := resolve(n.Text); !finite {
				return append(dst, "null"...) // Parse has refused the file
			}
		}
		return append(dst, n.number()...)
	case Bool:
		return strconv.AppendBool(dst, n.isTrue())
	case Null:
		return append(dst, "null"...)
	}
	return appendString(dst, n.Text)
}

func (n *Node) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	seen := make(map[string]bool, len(n.Entries))
	for _, e := range n.Entries {
		if e.Key.Kind != Scalar || seen[e.Key.Text] {
			continue
		}
		if len(seen) > 0 {
			dst = append(dst, ',')
		}
		seen[e.Key.Text] = true
		dst = appendString(dst, e.Key.Text)
		dst = append(dst, ':')
		dst = e.Value.AppendJSON(dst)
	}
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Text of a Node is valid UTF-8 always.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
