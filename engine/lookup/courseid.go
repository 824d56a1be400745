package lookup

import (
	"strings"
	"unicode"
)

// ValidCourseID reports whether id has one of the forms that Open edX gives to
// courses and libraries:
//
//	course-v1:ORG+COURSE+RUN
//	ccx-v1:ORG+COURSE+RUN+ccx@ID
//	library-v1:ORG+LIBRARY
//	lib:ORG:SLUG
//	ORG/COURSE/RUN              (before 2014)
//
// The first three may end in +branch@BRANCH and +version@VERSION. The parts
// consist of letters and digits of any script and of _ - ~ . (and : in the
// forms with +).
func ValidCourseID(id string) bool {
	kind, rest, ok := strings.Cut(id, ":")
	switch {
	case ok && kind == "course-v1":
		return plusParts(rest, 3, false)
	case ok && kind == "ccx-v1":
		return plusParts(rest, 3, true)
	case ok && kind == "library-v1":
		return plusParts(rest, 2, false)
	case ok && kind == "lib":
		org, slug, ok := strings.Cut(rest, ":")
		return ok && validPart(org, false) && validPart(slug, false)
	}
	org, rest, ok := strings.Cut(id, "/")
	if !ok {
		return false
	}
	course, run, ok := strings.Cut(rest, "/")
	return ok && validPart(org, false) && validPart(course, false) && validPart(run, false)
}

// plusParts checks n parts joined by a plus sign, and what may follow them.
func plusParts(s string, n int, ccx bool) bool {
	more := true
	var part string
	for range n {
		if !more {
			return false
		}
		if part, s, more = strings.Cut(s, "+"); !validPart(part, true) {
			return false
		}
	}
	if ccx {
		if !more {
			return false
		}
		part, s, more = strings.Cut(s, "+")
		number, ok := strings.CutPrefix(part, "ccx@")
		if !ok || !validPart(number, true) {
			return false
		}
	}
	for _, prefix := range [...]string{"branch@", "version@"} {
		if !more {
			return true
		}
		if value, ok := strings.CutPrefix(s, prefix); ok {
			value, s, more = strings.Cut(value, "+")
			if !validPart(value, true) {
				return false
			}
		}
	}
	return !more
}

func validPart(s string, colon bool) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '~', r == '.':
		case r == ':' && colon:
		case r >= 0x80 && r != unicode.ReplacementChar && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)):
		default:
			return false
		}
	}
	return s != ""
}
