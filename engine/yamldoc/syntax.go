package yamldoc

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// lineInMessage is the line number that the YAML library puts into its messages. It is left out, because it is often
// that of the construct's beginning, or one too small, and never says the column.
var lineInMessage = regexp.MustCompile(`^yaml: (line \d+: )?`)

func libraryMessage(err error) string {
	if err == nil {
		return ""
	}
	return lineInMessage.ReplaceAllString(err.Error(), "")
}

// syntax reports a failure of the library at the place where it came up.
func (b *builder) syntax(err error) {
	message := libraryMessage(err)
	start, end := b.locate(message)
	switch {
	case errors.Is(err, errLibrary):
		b.fault(nil, start, end, CodeSyntax, "rewrite this part of the file more simply", "%w", err)
	case strings.HasPrefix(message, "unknown anchor"):
		b.fault(nil, start, end, CodeAlias, "write the value out, or put it in quotes", "aliases are not allowed")
	default:
		b.fault(nil, start, end, CodeSyntax, b.syntaxHint(message, start), "%s", message)
	}
}

// locate gives the characters at which the library's message came up.
func (b *builder) locate(message string) (start, end int) {
	src := b.doc.src
	opening, closing := byte(0), ""
	switch {
	case strings.Contains(message, "',' or ']'"):
		opening, closing = '[', "]"
	case strings.Contains(message, "',' or '}'"):
		opening, closing = '{', "}"
	}
	if closing != "" && !failsWith(message, src, closing) {
		// With the bracket closed at the end the message is gone: it is about the bracket.
		end = b.failsFrom(message, "")
		if i := bytes.LastIndexByte(src[:end], opening); i >= 0 {
			return i, i + 1
		}
	} else {
		end = b.failsFrom(message, closing)
	}
	start = end
	if start > 0 {
		_, size := utf8.DecodeLastRune(src[:end])
		start -= size
	}
	lineStart := bytes.LastIndexByte(src[:start], '\n') + 1
	back := func(chars string) { // to the nearest of chars in the line
		if i := bytes.LastIndexAny(src[lineStart:start], chars); i >= 0 {
			start = lineStart + i
		}
	}
	switch {
	case strings.HasPrefix(message, "unknown anchor"):
		back("*")
	case strings.Contains(message, "Unicode character escape"), strings.Contains(message, "hexdecimal"):
		back(`\`)
	case strings.Contains(message, "incompatible YAML document"):
		back("%")
	case closing != "":
		start = wordStart(src, lineStart, start)
	case start < len(src) && src[start] == ':' && (strings.Contains(message, "expected key") || strings.Contains(message, "'-' indicator")):
		// The library knows a key by the colon behind it.
		start = lineStart + len(src[lineStart:start]) - len(bytes.TrimLeft(src[lineStart:start], " \t"))
	}
	return start, end
}

// wordStart goes back from the end of a word in a flow collection, or the colon and blanks behind it, to its beginning.
func wordStart(src []byte, lineStart, at int) int {
	i := at
	for i > lineStart && i < len(src) && (src[i] == ' ' || src[i] == ':') {
		i--
	}
	if i >= len(src) {
		return at
	}
	stop := " ,[]{}"
	quoted := src[i] == '"' || src[i] == '\''
	if quoted {
		stop = string(src[i])
	}
	j := bytes.LastIndexAny(src[lineStart:i], stop)
	switch {
	case j >= 0 && quoted:
		return lineStart + j
	case !quoted && strings.IndexByte(stop, src[i]) < 0:
		return lineStart + j + 1
	}
	return at
}

// failsWith reports whether the library has the message for src with suffix.
func failsWith(message string, src []byte, suffix string) bool {
	if suffix != "" {
		src = append(src[:len(src):len(src)], suffix...)
	}
	_, _, err := decodeYAML(src)
	return libraryMessage(err) == message
}

// failsFrom finds the shortest beginning of the source that fails with the same message, by bisection: the library
// reads on no further than it must, so its last character is where the fault shows. The message must also stand with
// suffix added, lest it be about the end only. Should the message come and go with the length, one of the places where
// it comes is found; it is true there as well.
func (b *builder) failsFrom(message, suffix string) int {
	src := b.doc.src
	fails := func(end int) bool {
		return failsWith(message, src[:end], "") && (suffix == "" || failsWith(message, src[:end], suffix))
	}
	good, bad := 0, len(src)
	// Mostly the fault is right before where the library stopped reading; then few of the long beginnings are tried.
	m := &meter{src: src}
	if _, _, err := decodeFrom(m); libraryMessage(err) == message && m.at > nearby {
		at := m.at
		for at < len(src) && !utf8.RuneStart(src[at]) {
			at++
		}
		near := at - nearby
		for near > 0 && !utf8.RuneStart(src[near]) {
			near--
		}
		if fails(at) && !fails(near) {
			good, bad = near, at
		}
	}
	for good+1 < bad {
		mid := (good + bad) / 2
		for mid > good && !utf8.RuneStart(src[mid]) {
			mid--
		}
		if mid == good {
			break
		}
		if fails(mid) {
			bad = mid
		} else {
			good = mid
		}
	}
	return bad
}

// nearby is how many bytes before the end of its reading a fault of the library is looked for first.
const nearby = 64

// meter gives one byte at a time, so that at says how far the library has read.
type meter struct {
	src []byte
	at  int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.at == len(m.src) {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p[0] = m.src[m.at]
	m.at++
	return 1, nil
}

// noSpaceBehindColon is a line such as "key:value".
var noSpaceBehindColon = regexp.MustCompile(`^\s*[\w.-]+:[^\s/:]\S*$`)

// syntaxHint says what usually helps against a message of the library at an offset.
func (b *builder) syntaxHint(message string, at int) string {
	number := b.doc.position(at).Line
	line := b.doc.line(number)
	has := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case has("tab character"), has("cannot start any token") && at < len(b.doc.src) && b.doc.src[at] == '\t':
		return "indent with spaces, not tabs"
	case has("cannot start any token"):
		return "put the value in quotes"
	case has("mapping values are not allowed"):
		if noSpaceBehindColon.MatchString(b.doc.line(number - 1)) {
			return "put a space behind the colon of the line above"
		}
		return "put a value that holds ': ' in quotes or in a block (|), or check the indentation"
	case has("unknown escape character"):
		return `in double quotes write \\ for a backslash, or use single quotes`
	case has("Unicode character escape"):
		return `write characters beyond U+FFFF as \U and eight digits`
	case has("unexpected end of stream"):
		return "close the quote"
	case has("did not find expected key") && at < len(b.doc.src) && b.doc.src[at] == ':':
		return "write a key before the ':'"
	case has("did not find expected key"), has("'-' indicator"):
		if strings.ContainsAny(line, `'"`) {
			return "check the quotes and the indentation"
		}
		return "check the indentation"
	case has("could not find expected ':'"):
		return "write key: value, with a space behind the colon"
	case has("did not find expected ',' or"):
		return "close the bracket, or put the value in quotes"
	case has("<document start>"):
		return "remove the line '...', or what stands behind it"
	case has("incompatible YAML document"):
		return "remove the %YAML line"
	}
	return ""
}
