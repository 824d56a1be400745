package diag

import (
	"cmp"
	"strconv"
)

// Position is a place in a text file.
//
// Line and Column count from 1; columns count runes (Unicode code points), not bytes and not terminal cells. A tab is
// one column. The zero Line means that the place inside the file is not known.
type Position struct {
	// File is the name of the file as the user gave it; empty if there is none.
	File string `json:"file,omitempty"`
	// Line is the line number from 1, or 0 if unknown.
	Line int `json:"line,omitempty"`
	// Column is the rune number in the line from 1, or 0 if only the line is known.
	Column int `json:"column,omitempty"`
}

// IsValid reports whether the line is known.
func (p Position) IsValid() bool { return p.Line > 0 }

// String returns "file:line:col", without the parts that are not known: "file", "line:col", "file:line".
// The zero Position gives "-".
func (p Position) String() string {
	s := p.File
	if p.Line > 0 {
		if s != "" {
			s += ":"
		}
		s += strconv.Itoa(p.Line)
		if p.Column > 0 {
			s += ":" + strconv.Itoa(p.Column)
		}
	}
	if s == "" {
		return "-"
	}
	return s
}

// Compare orders positions by file name, then line, then column. An unknown line comes before all known ones.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}
