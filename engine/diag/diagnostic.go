package diag

import (
	"strconv"
	"strings"
	"unicode"
)

// Diagnostic is one fault, warning or remark about a place in a file.
//
// It is an error: errors.As finds it in whatever wraps it, and Unwrap gives its cause. Message and Hint must hold
// neither secrets nor values of events.
type Diagnostic struct {
	// Pos is where the fault begins.
	Pos Position
	// End is just behind the fault, for the width of the caret line. The zero value means one character.
	End Position
	// Severity is Error unless set.
	Severity Severity
	// Code is a stable word in kebab case that programs and documentation can refer to, such as "unknown-key".
	Code string
	// Path is the place in the document's own terms, such as events.play_video.verb; see [Key] and [Index].
	Path string
	// Message says what is wrong: lower case, no full stop. If it is empty, the text of Err stands for it.
	Message string
	// Hint says what to do, such as: did you mean "played"?
	Hint string
	// Line is the source line of Pos without its line break, for [Diagnostic.Render]. It may be empty.
	Line string
	// Err is the cause, or nil.
	Err error
}

// Error returns the diagnostic in one line: "file:line:col: path: message (hint)". Parts that are not set are left
// out; a warning or remark has "warning: " or "info: " before the path.
func (d *Diagnostic) Error() string {
	s := d.headline()
	if d.Hint != "" {
		s += " (" + oneLine(d.Hint) + ")"
	}
	return s
}

// Unwrap returns the cause.
func (d *Diagnostic) Unwrap() error { return d.Err }

// headline is Error without the hint.
func (d *Diagnostic) headline() string {
	var b strings.Builder
	if d.Pos.File != "" || d.Pos.IsValid() {
		b.WriteString(oneLine(d.Pos.String()))
		b.WriteString(": ")
	}
	if d.Severity != Error {
		b.WriteString(d.Severity.String())
		b.WriteString(": ")
	}
	if d.Path != "" {
		b.WriteString(oneLine(d.Path))
		b.WriteString(": ")
	}
	switch {
	case d.Message != "":
		b.WriteString(oneLine(d.Message))
	case d.Err != nil:
		b.WriteString(oneLine(d.Err.Error()))
	case d.Code != "":
		b.WriteString(oneLine(d.Code))
	default:
		b.WriteString("unspecified fault")
	}
	return b.String()
}

// oneLine replaces runs of line breaks with one space and other characters that a terminal would obey with U+FFFD.
func oneLine(s string) string {
	clean := true
	for _, r := range s {
		if unsafeRune(r) || r == '\t' {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if r == '\n' || r == '\r' || r == '\t' {
			space = true
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		if unsafeRune(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Key returns the path of an entry: path.key. A key that is not made of letters, digits, '_', '-' and '$' is quoted,
// so that events."edx.video.played".verb stays readable without doubt. An empty path gives the key alone.
func Key(path, key string) string {
	if !bareKey(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Index returns the path of an item of a list: path[i], counted from 0.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func bareKey(key string) bool {
	if key == "" {
		return false
	}
	for _, r := range key {
		if r != '_' && r != '-' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}
