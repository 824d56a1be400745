package mapping

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

// document is the form of a mapping file.
type document struct {
	Version      *yamldoc.Node `yaml:"version"`
	Backend      *yamldoc.Node `yaml:"backend"`
	Description  string        `yaml:"description"`
	Extends      *yamldoc.Node `yaml:"extends"`
	Enabled      *yamldoc.Node `yaml:"enabled"`
	Prune        *yamldoc.Node `yaml:"prune"`
	Tables       *yamldoc.Node `yaml:"tables"`
	Let          *yamldoc.Node `yaml:"let"`
	Events       *yamldoc.Node `yaml:"events"`
	Statement    *yamldoc.Node `yaml:"statement"`
	Alternatives []alternative `yaml:"alternatives"`
	Children     *childrenOf   `yaml:"children"`
}

// alternative is one of several statements that an event may become; the first whose when is true is taken.
type alternative struct {
	Name      string        `yaml:"name"`
	When      *yamldoc.Node `yaml:"when"`
	Let       *yamldoc.Node `yaml:"let"`
	Statement *yamldoc.Node `yaml:"statement"`
	Children  *childrenOf   `yaml:"children"`
}

// childrenOf makes one more statement for each member of a list or object.
type childrenOf struct {
	ForEach   *yamldoc.Node `yaml:"for_each"`
	Let       *yamldoc.Node `yaml:"let"`
	Statement *yamldoc.Node `yaml:"statement"`
}

// pruning is which members are left out of statements.
type pruning uint8

const (
	// pruneNulls leaves out null members and the objects that lose all their members by it.
	pruneNulls pruning = iota
	// pruneEmpties leaves out null, "", [] and {} through all objects, also those that come from the event; an
	// object emptied by it stays.
	pruneEmpties
)

// file is one mapping file after parsing; base is the file it extends.
type file struct {
	name string // path in the file system
	stem string // name without directory and ending, as extends writes it
	root *yamldoc.Node
	doc  document
	base *file
	// broken files could not be read as a whole: what is missing in them is not reported again elsewhere.
	broken bool
	// doubtful files have keys that are unknown or twice: what they were meant to say may be missing elsewhere.
	doubtful bool
	// reached are the alternatives that some event may take; unsure is true where that is not known.
	reached []bool
	unsure  bool
	// arguments that the expressions of the file read, all of them if readsAll.
	reads    map[string]bool
	readsAll bool

	state     resolveState
	prune     pruning
	tables    *tree
	lets      []let
	statement *tree
	events    []eventEntry
}

type resolveState uint8

const (
	unresolved resolveState = iota
	resolving
	resolved
)

type let struct {
	name  string
	key   *yamldoc.Node
	value *tree
}

type eventEntry struct {
	name string
	key  *yamldoc.Node
	args *yamldoc.Node
}

// parseFiles reads all *.yaml files of a folder.
func parseFiles(fsys fs.FS, backend string) (files []*file, faults diag.List) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, diag.List{{Severity: diag.Error, Code: "unreadable", Message: "the mapping folder cannot be read: " + err.Error(), Err: err}}
	}
	for _, e := range entries {
		ending := path.Ext(e.Name())
		if e.IsDir() || ending != ".yaml" && ending != ".yml" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := e.Name()
		src, err := plainfile.ReadFS(fsys, name)
		if err != nil {
			faults = append(faults, &diag.Diagnostic{Pos: diag.Position{File: name}, Severity: diag.Error, Code: "unreadable", Message: "the file cannot be read: " + err.Error(), Err: err})
			continue
		}
		display := name
		if backend != "" {
			display = path.Join(backend, name)
		}
		f, list := parseFile(display, src, backend)
		faults = append(faults, list...)
		f.stem = strings.TrimSuffix(name, ending)
		if other := slices.IndexFunc(files, func(o *file) bool { return o.stem == f.stem }); other >= 0 {
			d := &diag.Diagnostic{Pos: diag.Position{File: f.name, Line: 1, Column: 1}, Severity: diag.Error, Code: "duplicate-file", Message: fmt.Sprintf("%s has the same name: \"extends: %s\" would be ambiguous", files[other].name, f.stem)}
			faults = append(faults, d)
			continue
		}
		files = append(files, f)
	}
	return files, faults
}

func parseFile(name string, src []byte, backend string) (*file, diag.List) {
	f := &file{name: name, reads: map[string]bool{}}
	parsed, faults := yamldoc.Parse(name, src)
	if parsed == nil {
		f.broken = true
		return f, faults
	}
	f.root = parsed.Root
	f.doubtful = faults.HasErrors()
	list := yamldoc.Decode(parsed.Root, &f.doc)
	faults = append(faults, list...)
	if f.root.Kind != yamldoc.Mapping {
		f.broken = true
		if !faults.HasErrors() {
			faults = append(faults, f.root.Diag(diag.Error, yamldoc.CodeType, "", "expected a mapping file, found null"))
		}
		return f, faults
	}
	f.doubtful = f.doubtful || len(list) > 0
	if v := f.doc.Version; v == nil || v.Text != "1" {
		at := parsed.Root
		if v != nil {
			at = v
		}
		faults = append(faults, at.Diag(diag.Error, "bad-version", "version", "the mapping language has version 1: write \"version: 1\""))
	}
	switch b := f.doc.Backend; {
	case b == nil:
		faults = append(faults, parsed.Root.Diag(diag.Error, "bad-backend", "backend", "the backend is missing: write \"backend: %s\"", backend))
	case b.Text != backend:
		faults = append(faults, b.Diag(diag.Error, "bad-backend", "backend", "the file is for backend %q, the folder for %q", b.Text, backend))
	}
	return f, faults
}

// resolve applies extends: tables, lets and the statement of the base come first.
func (f *file) resolve(files []*file) (faults diag.List) {
	switch f.state {
	case resolved:
		return nil
	case resolving:
		return diag.List{f.doc.Extends.Diag(diag.Error, "extends-cycle", "extends", "the file extends itself by way of %q", f.doc.Extends.Text)}
	}
	f.state = resolving
	defer func() { f.state = resolved }()
	f.reached = make([]bool, len(f.doc.Alternatives))
	switch n := f.doc.Extends; {
	case n == nil:
	case n.Kind != yamldoc.Scalar || n.Tag != yamldoc.String:
		faults = append(faults, n.Diag(diag.Error, "bad-type", "extends", "extends takes the name of one mapping file, such as base"))
		f.broken = true
	default:
		i := slices.IndexFunc(files, func(o *file) bool { return o.stem == n.Text })
		if i < 0 {
			var stems []string
			for _, o := range files {
				stems = append(stems, o.stem)
			}
			d := n.Diag(diag.Error, "unknown-base", "extends", "there is no mapping file %q to extend", strings.TrimSuffix(n.Text, ".yaml")+".yaml")
			d.Hint = diag.DidYouMean(strings.TrimSuffix(n.Text, ".yaml"), stems)
			if slices.Contains(stems, strings.TrimSuffix(n.Text, ".yaml")) {
				d.Hint = "write the name without .yaml"
			}
			faults = append(faults, d)
			f.broken = true
		} else {
			faults = append(faults, files[i].resolve(files)...)
			f.base = files[i]
			f.broken = f.broken || f.base.broken || f.base.state == resolving
			f.doubtful = f.doubtful || f.base.doubtful
			f.prune, f.tables, f.statement = f.base.prune, f.base.tables, f.base.statement
			f.lets = slices.Clone(f.base.lets)
		}
	}
	if n := f.doc.Prune; n != nil {
		switch n.Text {
		case "nulls":
			f.prune = pruneNulls
		case "empties":
			f.prune = pruneEmpties
		default:
			faults = append(faults, n.Diag(diag.Error, "bad-prune", "prune", "prune is \"nulls\" or \"empties\""))
		}
	}
	if n := f.doc.Tables; n != nil {
		t, list := literalTree(n, "tables")
		faults = append(faults, list...)
		f.tables = merge(f.tables, t)
	}
	f.lets, faults = addLets(f.lets, f.doc.Let, faults)
	f.statement, faults = overlay(f.statement, f.doc.Statement, faults)
	return append(faults, f.readEvents()...)
}

// literalTree reads a tree that must not hold expressions.
func literalTree(n *yamldoc.Node, what string) (*tree, diag.List) {
	t, faults := newTree(n)
	if n.Kind != yamldoc.Mapping {
		return nil, append(faults, n.Diag(diag.Error, "bad-type", what, "%s is an object", what))
	}
	faults = append(faults, noDirectives(n)...)
	t.scalars(func(s *yamldoc.Node) {
		if strings.Contains(s.Text, "${") {
			faults = append(faults, s.Diag(diag.Error, "not-literal", "", "expressions are not allowed here, only literals"))
		}
	})
	return t, faults
}

// noDirectives reports the directives of literals, where they would have no effect.
func noDirectives(n *yamldoc.Node) (faults diag.List) {
	for _, e := range n.Entries {
		switch e.Key.Text {
		case "$filter", "$when", "$value", "$keep": // others are reported as unknown
			faults = append(faults, e.Key.Diag(diag.Error, "not-literal", "", "directives are not allowed here, only literals"))
		}
		faults = append(faults, noDirectives(e.Value)...)
	}
	for _, item := range n.Items {
		faults = append(faults, noDirectives(item)...)
	}
	return faults
}

func addLets(lets []let, n *yamldoc.Node, faults diag.List) ([]let, diag.List) {
	if n == nil {
		return lets, faults
	}
	if n.Kind != yamldoc.Mapping {
		return lets, append(faults, n.Diag(diag.Error, "bad-type", "let", "let is an object of names and values"))
	}
	lets = slices.Clone(lets)
	for _, e := range n.Entries {
		name := e.Key.Text
		switch {
		case !isName(name):
			faults = append(faults, e.Key.Diag(diag.Error, "bad-name", "", "%q cannot be the name of a value: a name has letters, digits and _, and does not begin with a digit", name))
			continue
		case slices.Contains(reservedNames, name), expr.IsReserved(name):
			faults = append(faults, e.Key.Diag(diag.Error, "bad-name", "", "%q cannot be the name of a value: it has a meaning of its own in expressions", name))
			continue
		}
		t, list := newTree(e.Value)
		faults = append(faults, list...)
		l := let{name, e.Key, t}
		if i := slices.IndexFunc(lets, func(o let) bool { return o.name == name }); i >= 0 {
			lets[i] = let{name, e.Key, merge(lets[i].value, t)}
		} else {
			lets = append(lets, l)
		}
	}
	return lets, faults
}

// reservedNames are the names that the language itself gives a meaning.
var reservedNames = []string{"event", "args", "settings", "tables", "name", "item", "key", "result", "true", "false", "null", "in"}

func isName(s string) bool {
	for i := range len(s) {
		if !isWord(s[i]) || i == 0 && s[i] <= '9' {
			return false
		}
	}
	return s != ""
}

func overlay(under *tree, n *yamldoc.Node, faults diag.List) (*tree, diag.List) {
	if n == nil {
		return under, faults
	}
	if n.Kind != yamldoc.Mapping {
		return under, append(faults, n.Diag(diag.Error, "bad-type", "", "a statement is an object"))
	}
	t, list := newTree(n)
	return merge(under, t), append(faults, list...)
}

func (f *file) readEvents() (faults diag.List) {
	n := f.doc.Events
	if n == nil {
		return nil
	}
	if n.Kind != yamldoc.Mapping {
		return diag.List{n.Diag(diag.Error, "bad-type", "events", "events is an object of event names")}
	}
	for _, e := range n.Entries {
		if e.Value.Kind == yamldoc.Mapping {
			_, list := literalTree(e.Value, "")
			faults = append(faults, list...)
		} else if !e.Value.IsNull() {
			faults = append(faults, e.Value.Diag(diag.Error, "bad-type", "", "the arguments of an event are an object, such as {verb: played}"))
			continue
		}
		f.events = append(f.events, eventEntry{e.Key.Text, e.Key, e.Value})
	}
	if f.statement == nil && len(f.doc.Alternatives) == 0 && !f.broken && !f.doubtful {
		faults = append(faults, n.Diag(diag.Error, "no-statement", "events", "the file names events but no statement"))
	}
	return faults
}
