package golden

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/yamldoc"
)

// maxFlow is the width of objects and lists that are written on one line.
const maxFlow = 84

// appendYAML writes JSON as YAML in block style, in the order of its members, behind a key or a dash at the given
// indent. Reading it back gives the same JSON.
func appendYAML(dst []byte, v gjson.Result, indent int) []byte {
	if flow := appendFlow(nil, v); indent+utf8.RuneCount(flow) <= maxFlow || !v.IsObject() && !v.IsArray() {
		return append(append(append(dst, ' '), flow...), '\n')
	}
	if v.IsObject() {
		dst = append(dst, '\n')
	}
	return appendBlock(dst, v, indent, v.IsObject())
}

// appendBlock writes an object or list; the first line is indented unless it continues one.
func appendBlock(dst []byte, v gjson.Result, indent int, newLine bool) []byte {
	pad := strings.Repeat(" ", indent)
	if v.IsArray() {
		dst = append(dst, '\n')
		v.ForEach(func(_, item gjson.Result) bool {
			dst = append(append(dst, pad...), '-')
			if flow := appendFlow(nil, item); indent+utf8.RuneCount(flow) <= maxFlow || !item.IsObject() {
				dst = appendYAML(dst, item, indent+2)
			} else {
				dst = appendBlock(append(dst, ' '), item, indent+2, false)
			}
			return true
		})
		return dst
	}
	v.ForEach(func(k, m gjson.Result) bool {
		if newLine {
			dst = append(dst, pad...)
		}
		newLine = true
		dst = append(append(dst, yamlText(k.Str)...), ':')
		dst = appendYAML(dst, m, indent+2)
		return true
	})
	return dst
}

func appendFlow(dst []byte, v gjson.Result) []byte {
	switch {
	case v.IsObject():
		dst = append(dst, '{')
		first := true
		v.ForEach(func(k, m gjson.Result) bool {
			if !first {
				dst = append(dst, ", "...)
			}
			first = false
			dst = append(append(dst, yamlText(k.Str)...), ": "...)
			dst = appendFlow(dst, m)
			return true
		})
		return append(dst, '}')
	case v.IsArray():
		dst = append(dst, '[')
		first := true
		v.ForEach(func(_, m gjson.Result) bool {
			if !first {
				dst = append(dst, ", "...)
			}
			first = false
			dst = appendFlow(dst, m)
			return true
		})
		return append(dst, ']')
	case v.Type == gjson.String:
		return append(dst, yamlText(v.Str)...)
	}
	return append(dst, v.Raw...)
}

// yamlText writes text as it is where YAML takes it for text everywhere, else in double quotes.
func yamlText(s string) string {
	if plainText(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			const hex = "0123456789abcdef"
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hex[r>>shift&15])
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plainText tells whether text needs no quotes, inside {} and [] too.
func plainText(s string) bool {
	for i, r := range s {
		switch {
		case i == 0 && !unicode.IsLetter(r) && r != '/':
			return false
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" /.:_-+@=~()%;*$!^<&", r):
			return false
		}
	}
	if s == "" || strings.HasSuffix(s, " ") || strings.HasSuffix(s, ":") || strings.Contains(s, ": ") || strings.Contains(s, "  ") {
		return false
	}
	doc, faults := yamldoc.Parse("", []byte(s))
	return doc != nil && len(faults) == 0 && doc.Root.Kind == yamldoc.Scalar && doc.Root.Tag == yamldoc.String && doc.Root.Text == s && !wordOfYAML11[strings.ToLower(s)]
}

// wordOfYAML11 are words that older readers of YAML do not take for text.
var wordOfYAML11 = map[string]bool{"yes": true, "no": true, "on": true, "off": true, "y": true, "n": true}
