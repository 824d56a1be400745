package lint

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

var suggestion = regexp.MustCompile(`^did you mean "([^"]+)"\?$`)

// Fix mends in place what can be mended safely: values and tables that nothing uses are removed, and misspelt keys
// and names are replaced where one name is meant. It returns what it mended. Files that no longer parse afterwards
// are left as they were.
func Fix(faults diag.List) (mended diag.List, err error) {
	byFile := map[string]diag.List{}
	var files []string
	for _, d := range faults {
		if !fixable(d) {
			continue
		}
		if byFile[d.Pos.File] == nil {
			files = append(files, d.Pos.File)
		}
		byFile[d.Pos.File] = append(byFile[d.Pos.File], d)
	}
	for _, name := range files {
		list := byFile[name]
		src, err := plainfile.Read(name)
		if err != nil {
			return mended, fmt.Errorf("fix: %w", err)
		}
		// From the end, so that positions before stay right.
		slices.SortStableFunc(list, func(a, b *diag.Diagnostic) int { return b.Pos.Compare(a.Pos) })
		fixed := src
		var done diag.List
		for _, d := range list {
			if next := mend(name, fixed, d); next != nil {
				fixed = next
				done = append(done, d)
			}
		}
		if _, faults := yamldoc.Parse(name, fixed); faults.HasErrors() || len(done) == 0 {
			continue
		}
		if err := os.WriteFile(name, fixed, 0o644); err != nil {
			return mended, fmt.Errorf("fix: %w", err)
		}
		mended = append(mended, done...)
	}
	mended.Sort()
	return mended, nil
}

func fixable(d *diag.Diagnostic) bool {
	switch d.Code {
	case CodeUnusedValue:
		return d.Hint == fixHint
	case CodeUnknownField, yamldoc.CodeUnknownKey:
		return suggestion.MatchString(d.Hint)
	}
	return false
}

// mend applies one finding; nil where that is not safe.
func mend(name string, src []byte, d *diag.Diagnostic) []byte {
	doc, faults := yamldoc.Parse(name, src)
	if doc == nil || faults.HasErrors() {
		return nil
	}
	e, siblings := entryAt(doc.Root, d.Pos)
	if e == nil {
		return nil
	}
	lines := bytes.SplitAfter(src, []byte("\n"))
	if d.Code == CodeUnusedValue {
		from, to := e.Key.Pos(), e.Value.End()
		before := lines[from.Line-1][:len(string([]rune(string(lines[from.Line-1]))[:from.Column-1]))]
		if siblings < 2 || len(bytes.TrimSpace(before)) > 0 {
			return nil // the only member, or one of several on a line
		}
		return bytes.Join(slices.Delete(lines, from.Line-1, to.Line), nil)
	}
	word := suggestion.FindStringSubmatch(d.Hint)[1]
	line := []rune(string(lines[d.Pos.Line-1]))
	old := []rune(e.Key.Text)
	at := d.Pos.Column - 1
	if at+len(old) > len(line) || string(line[at:at+len(old)]) != e.Key.Text || strings.ContainsAny(word, ": #") {
		return nil // quoted, or not where it seems
	}
	lines[d.Pos.Line-1] = []byte(string(line[:at]) + word + string(line[at+len(old):]))
	return bytes.Join(lines, nil)
}

// entryAt finds the entry whose key stands at a position, and how many its object has.
func entryAt(n *yamldoc.Node, p diag.Position) (*yamldoc.Entry, int) {
	for i := range n.Entries {
		e := &n.Entries[i]
		if at := e.Key.Pos(); at.Line == p.Line && at.Column == p.Column {
			return e, len(n.Entries)
		}
		if found, siblings := entryAt(e.Value, p); found != nil {
			return found, siblings
		}
	}
	for _, item := range n.Items {
		if found, siblings := entryAt(item, p); found != nil {
			return found, siblings
		}
	}
	return nil, 0
}
