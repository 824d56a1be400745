package lint

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Mappings looks through the mappings of a backend. cases are the golden cases; without any, what depends on them is
// left out. The error is about files that cannot be read.
func Mappings(sets *golden.Sets, backend string, s *config.Settings, cases []*golden.Case) (diag.List, error) {
	set, faults, err := sets.Get(backend, s, true)
	if err != nil {
		return nil, err
	}
	files, err := sets.Files(backend)
	if err != nil {
		return nil, err
	}
	l := &linter{sets: sets, backend: backend}
	l.faults = append(l.faults, faults...)
	if err := l.read(files); err != nil {
		return nil, err
	}
	for _, f := range l.files {
		l.fields(f)
		l.unused(f)
	}
	if set != nil {
		l.tested(set, cases)
	}
	l.faults.Sort()
	return l.faults, nil
}

// linter looks through the files of one backend.
type linter struct {
	sets    *golden.Sets
	backend string
	files   []*file
	filters []*file
	faults  diag.List
}

// file is one mapping file or profile.
type file struct {
	name string
	stem string
	root *yamldoc.Node
	base string
	// names are the words that its expressions use, tables the tables that they name.
	names, tables map[string]bool
}

func (l *linter) fault(n *yamldoc.Node, severity diag.Severity, code, format string, args ...any) *diag.Diagnostic {
	d := n.Diag(severity, code, "", format, args...)
	l.faults = append(l.faults, d)
	return d
}

func (l *linter) read(files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yaml" && path.Ext(name) != ".yml" {
			return err
		}
		src, err := plainfile.ReadFS(files, name)
		if err != nil {
			return err
		}
		shown := l.sets.Place(diag.Position{File: path.Join(l.backend, name)}).File
		doc, faults := yamldoc.Parse(shown, src)
		if doc == nil || faults.HasErrors() || doc.Root.Kind != yamldoc.Mapping {
			return nil // the loader has reported it
		}
		f := &file{name: shown, stem: strings.TrimSuffix(path.Base(name), path.Ext(name)), root: doc.Root,
			names: map[string]bool{}, tables: map[string]bool{}}
		if n := doc.Root.Get("extends"); n != nil {
			f.base = n.Text
		}
		f.uses(doc.Root)
		if strings.Contains(name, "/") {
			l.filters = append(l.filters, f)
		} else {
			l.files = append(l.files, f)
		}
		return nil
	})
}

// uses collects the names in the expressions of a tree.
func (f *file) uses(n *yamldoc.Node) {
	for _, e := range n.Entries {
		f.uses(e.Value)
	}
	for _, item := range n.Items {
		f.uses(item)
	}
	if n.Kind != yamldoc.Scalar {
		return
	}
	for _, p := range mapping.Parts(n.Text) {
		if !p.Expression {
			continue
		}
		source := n.Text[p.From:p.To]
		for _, name := range expr.Identifiers(source) {
			f.names[name] = true
		}
		members(source, "tables", f.tables)
	}
}

// members collects the members of an object that a source names, "*" where the object is used otherwise.
func members(source, object string, into map[string]bool) {
	for rest := source; ; {
		i := strings.Index(rest, object)
		if i < 0 {
			return
		}
		before, after := rest[:i], rest[i+len(object):]
		rest = after
		if before != "" && (isWord(before[len(before)-1]) || before[len(before)-1] == '.') || after != "" && isWord(after[0]) {
			continue
		}
		if !strings.HasPrefix(after, ".") {
			into["*"] = true
			continue
		}
		end := 1
		for end < len(after) && isWord(after[end]) {
			end++
		}
		into[after[1:end]] = true
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// family are the files that share names with a file: its bases, and all that extend it; and the profiles.
func (l *linter) family(f *file) []*file {
	list := append([]*file{f}, l.filters...)
	for _, o := range l.files {
		if o != f && (l.extends(o, f.stem) || l.extends(f, o.stem)) {
			list = append(list, o)
		}
	}
	return list
}

func (l *linter) extends(f *file, stem string) bool {
	for range l.files {
		if f == nil || f.base == "" {
			return false
		}
		if f.base == stem {
			return true
		}
		f = l.file(f.base)
	}
	return false
}

func (l *linter) file(stem string) *file {
	for _, f := range l.files {
		if f.stem == stem {
			return f
		}
	}
	return nil
}

// unused reports what a file declares and nothing uses.
func (l *linter) unused(f *file) {
	family := l.family(f)
	used := func(of func(*file) map[string]bool, name string) bool {
		return slices.ContainsFunc(family, func(o *file) bool { return of(o)[name] || of(o)["*"] })
	}
	names := func(o *file) map[string]bool { return o.names }
	lets := []*yamldoc.Node{f.root.Get("let"), f.root.Get("children").Get("let")}
	if alternatives := f.root.Get("alternatives"); alternatives != nil {
		for _, a := range alternatives.Items {
			lets = append(lets, a.Get("let"), a.Get("children").Get("let"))
		}
	}
	for _, let := range lets {
		if let == nil {
			continue
		}
		for _, e := range let.Entries {
			if !used(names, e.Key.Text) {
				l.unusedEntry(e, "nothing uses the value %q", e.Key.Text)
			}
		}
	}
	if tables := f.root.Get("tables"); tables != nil {
		for _, e := range tables.Entries {
			if !used(func(o *file) map[string]bool { return o.tables }, e.Key.Text) {
				l.unusedEntry(e, "nothing uses the table %q", e.Key.Text)
			}
		}
	}
	if f.root.Get("events") == nil {
		if !slices.ContainsFunc(l.files, func(o *file) bool { return o.base == f.stem }) {
			l.fault(f.root, diag.Warning, CodeUnusedFile, "the file maps no event, and no file extends it").End = diag.Position{}
		}
	}
}

func (l *linter) unusedEntry(e yamldoc.Entry, format string, args ...any) {
	l.fault(e.Key, diag.Warning, CodeUnusedValue, format, args...).Hint = fixHint
}

// fixHint marks findings that Fix takes away.
const fixHint = `"mapcheck lint --fix" removes it`

// tested reports what no golden case shows.
func (l *linter) tested(set *mapping.Set, cases []*golden.Case) {
	paths := paths{}
	events := map[string]bool{}
	for _, c := range cases {
		paths.add(c.Line)
		if c.Backend == l.backend {
			events[c.Event] = true
		}
	}
	if len(events) == 0 {
		return
	}
	for _, name := range set.Names() {
		if !events[name] {
			d := &diag.Diagnostic{Severity: diag.Warning, Code: CodeNoCase, Message: fmt.Sprintf("the event %s has no golden case", name), Hint: `"mapcheck new EVENT.json" writes one`}
			l.place(d, name)
			l.faults = append(l.faults, d)
		}
	}
	seen := map[string]bool{}
	for _, f := range set.Points().Fields {
		for _, p := range f.Reads {
			at := l.sets.Place(f.Pos)
			if key := at.String() + p; !paths.has(p) && !seen[key] {
				seen[key] = true
				d := &diag.Diagnostic{Pos: at, Severity: diag.Warning, Code: CodeUntestedPath, Path: f.Path, Message: fmt.Sprintf("no golden event has %s", p)}
				d.Hint = diag.DidYouMean(p, paths.names())
				d.Line = l.line(at)
				l.faults = append(l.faults, d)
			}
		}
	}
}

// place puts a finding at the line of an event.
func (l *linter) place(d *diag.Diagnostic, event string) {
	for _, f := range l.files {
		if e := f.root.Get("events").Entry(event); e != nil {
			at := e.Key.Diag(d.Severity, d.Code, "", "")
			d.Pos, d.End, d.Line, d.Path = at.Pos, at.End, at.Line, at.Path
			return
		}
	}
}

// line is the text of a line of a mapping file.
func (l *linter) line(p diag.Position) string {
	for _, f := range append(l.files, l.filters...) {
		if f.name == p.File {
			return lineAt(f.root, p.Line)
		}
	}
	return ""
}

// lineAt finds a node of a tree on a line and takes the line from it.
func lineAt(n *yamldoc.Node, line int) string {
	if n.Pos().Line == line {
		return n.Diag(diag.Info, "", "", "").Line
	}
	for _, e := range n.Entries {
		for _, sub := range []*yamldoc.Node{e.Key, e.Value} {
			if s := lineAt(sub, line); s != "" {
				return s
			}
		}
	}
	for _, item := range n.Items {
		if s := lineAt(item, line); s != "" {
			return s
		}
	}
	return ""
}
