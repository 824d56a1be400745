package mapping

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/sjson"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

// pluginPrefix may stand before the name of an extension point: the Python plugin's full names work as they are.
const pluginPrefix = "event_routing_backends.processors."

// backends are those that a filter file may be for; the files for another one than the mappings are skipped.
var backends = []string{"xapi", "caliper"}

// filterDocument is the form of a filter file.
type filterDocument struct {
	Version     *yamldoc.Node `yaml:"version"`
	Backend     *yamldoc.Node `yaml:"backend"`
	Description string        `yaml:"description"`
	Filters     []filterEntry `yaml:"filters"`
}

// filterEntry changes the values at extension points.
type filterEntry struct {
	At           *yamldoc.Node `yaml:"at"`
	Description  string        `yaml:"description"`
	When         *yamldoc.Node `yaml:"when"`
	Value        *yamldoc.Node `yaml:"value"`
	Set          *yamldoc.Node `yaml:"set"`
	Delete       *yamldoc.Node `yaml:"delete"`
	FailSilently bool          `yaml:"fail_silently"`
}

// filterRule is a filterEntry after parsing; it is bound to a program where the program has its extension point.
type filterRule struct {
	entry  filterEntry
	points []*yamldoc.Node
	value  *tree
	set    []filterEdit
	delete []filterEdit
	bound  bool
}

// filterEdit is one place in the value: what it is set to, or nil to delete it.
type filterEdit struct {
	path  string // of sjson
	shown string // for messages
	value *tree
}

// parseFilters reads the filter files of a folder for a backend, in the order of their names.
func parseFilters(fsys fs.FS, dir, backend string) (rules []*filterRule, faults diag.List) {
	names, err := fs.Glob(fsys, "*.y*ml")
	if err != nil {
		return nil, diag.List{{Severity: diag.Error, Code: "unreadable", Message: "the filter folder cannot be read: " + err.Error(), Err: err}}
	}
	slices.Sort(names)
	for _, name := range names {
		if ending := path.Ext(name); strings.HasPrefix(name, ".") || ending != ".yaml" && ending != ".yml" {
			continue
		}
		if info, err := fs.Stat(fsys, name); err == nil && info.IsDir() {
			continue
		}
		src, err := plainfile.ReadFS(fsys, name)
		if err != nil {
			faults = append(faults, &diag.Diagnostic{Pos: diag.Position{File: path.Join(dir, name)}, Severity: diag.Error, Code: "unreadable", Message: "the file cannot be read: " + err.Error(), Err: err})
			continue
		}
		list, f := parseFilterFile(path.Join(dir, name), src, backend)
		rules, faults = append(rules, list...), append(faults, f...)
	}
	return rules, faults
}

func parseFilterFile(name string, src []byte, backend string) (rules []*filterRule, faults diag.List) {
	parsed, faults := yamldoc.Parse(name, src)
	if faults.HasErrors() || parsed == nil {
		return nil, faults
	}
	var doc filterDocument
	list := yamldoc.Decode(parsed.Root, &doc)
	faults = append(faults, list...)
	nodes := parsed.Root.Get("filters")
	if list.HasErrors() && (nodes == nil || len(nodes.Items) != len(doc.Filters)) {
		return nil, faults
	}
	if v := doc.Version; v == nil || v.Text != "1" {
		at := parsed.Root
		if v != nil {
			at = v
		}
		faults = append(faults, at.Diag(diag.Error, "bad-version", "version", "the filter language has version 1: write \"version: 1\""))
	}
	if doc.Backend == nil {
		return nil, append(faults, parsed.Root.Diag(diag.Error, "bad-backend", "backend", "the backend is missing: write \"backend: %s\"", backend))
	}
	if doc.Backend.Text != backend {
		if !slices.Contains(backends, doc.Backend.Text) {
			d := doc.Backend.Diag(diag.Error, "bad-backend", "backend", "there is no backend %q", doc.Backend.Text)
			d.Hint = diag.DidYouMean(doc.Backend.Text, backends)
			faults = append(faults, d)
		}
		return nil, faults
	}
	if nodes == nil {
		faults = append(faults, parsed.Root.Diag(diag.Error, "bad-filter", "filters", "the file has no filters: write \"filters: […]\""))
	}
	for i, e := range doc.Filters {
		r := &filterRule{entry: e}
		faults = append(faults, r.read(nodes.Items[i])...)
		rules = append(rules, r)
	}
	return rules, faults
}

func (r *filterRule) read(n *yamldoc.Node) (faults diag.List) {
	switch at := r.entry.At; {
	case at == nil:
		faults = append(faults, n.Diag(diag.Error, "bad-filter", "", "the filter names no extension point: write \"at: …\""))
	case at.Kind == yamldoc.Sequence:
		r.points = at.Items
	default:
		r.points = []*yamldoc.Node{at}
	}
	if r.entry.At != nil && len(r.points) == 0 {
		faults = append(faults, r.entry.At.Diag(diag.Error, "bad-filter", "", "the filter names no extension point: write \"at: …\""))
	}
	r.points = slices.DeleteFunc(slices.Clone(r.points), func(p *yamldoc.Node) bool {
		if p.Kind == yamldoc.Scalar && p.Text != "" {
			return false
		}
		faults = append(faults, p.Diag(diag.Error, "bad-filter", "", "at takes the name of an extension point, or a list of them"))
		return true
	})
	if r.entry.Value == nil && r.entry.Set == nil && r.entry.Delete == nil {
		faults = append(faults, n.Diag(diag.Error, "bad-filter", "", "the filter changes nothing: it needs value, set or delete"))
	}
	if r.entry.Value != nil {
		t, list := newTree(r.entry.Value)
		faults = append(faults, list...)
		if nested := noFilters(r.entry.Value); len(nested) > 0 {
			faults = append(faults, nested...)
		} else {
			r.value = t
		}
	}
	if set := r.entry.Set; set != nil {
		t, list := newTree(set)
		faults = append(faults, list...)
		nested := noFilters(set)
		faults = append(faults, nested...)
		switch {
		case len(nested) > 0:
		case !t.isObject() || len(t.members) == 0:
			faults = append(faults, set.Diag(diag.Error, "bad-filter", "", "set is an object of the members to change"))
		case t.when != nil || t.value != nil || t.keep:
			faults = append(faults, set.Diag(diag.Error, "bad-filter", "", "set has no directives of its own, only its members have"))
		default:
			faults = append(faults, badKeys(t)...)
			r.set = edits(nil, t, nil)
		}
	}
	if del := r.entry.Delete; del != nil {
		items := del.Items
		if del.Kind != yamldoc.Sequence {
			items = []*yamldoc.Node{del}
		}
		for _, item := range items {
			keys := strings.Split(item.Text, ".")
			if item.Kind == yamldoc.Sequence {
				keys = nil
				for _, k := range item.Items {
					keys = append(keys, k.Text)
				}
			}
			if len(keys) == 0 || slices.ContainsFunc(keys, badStep) || strings.Contains(item.Text, "${") {
				faults = append(faults, item.Diag(diag.Error, "bad-filter", "", "delete takes dotted paths, or lists of keys where a key has dots"))
				continue
			}
			r.delete = append(r.delete, filterEdit{path: sjsonPath(keys), shown: strings.Join(keys, ".")})
		}
	}
	return faults
}

// noFilters reports extension points inside of filters: a filter is not filtered.
func noFilters(n *yamldoc.Node) (faults diag.List) {
	for _, e := range n.Entries {
		if e.Key.Text == "$filter" {
			faults = append(faults, e.Key.Diag(diag.Error, "bad-directive", "", "a filter has no extension points itself"))
		}
		faults = append(faults, noFilters(e.Value)...)
	}
	for _, item := range n.Items {
		faults = append(faults, noFilters(item)...)
	}
	return faults
}

// maxIndex is the last item of a list that a filter can set. A list would be filled with nulls up to it.
const maxIndex = 999

// badStep tells whether a key cannot be a step of a path.
func badStep(key string) bool {
	i, err := strconv.Atoi(key)
	return key == "" || err == nil && (i > maxIndex || i < 0) || errors.Is(err, strconv.ErrRange)
}

func badKeys(t *tree) (faults diag.List) {
	for _, m := range t.members {
		if badStep(m.key) {
			faults = append(faults, m.node.Diag(diag.Error, "bad-filter", "", "%q cannot be set: a key is not empty, the number of a list's item at most %d", m.key, maxIndex))
		}
		if m.value.isObject() {
			faults = append(faults, badKeys(m.value)...)
		}
	}
	return faults
}

// edits flattens the tree of a set: objects are entered, everything else is a value to put there.
func edits(keys []string, t *tree, out []filterEdit) []filterEdit {
	if t.isObject() && t.value == nil && t.when == nil && len(t.members) > 0 {
		for _, m := range t.members {
			out = edits(append(keys[:len(keys):len(keys)], m.key), m.value, out)
		}
		return out
	}
	return append(out, filterEdit{path: sjsonPath(keys), shown: strings.Join(keys, "."), value: t})
}

// sjsonPath joins keys, each taken literally.
func sjsonPath(keys []string) string {
	var b strings.Builder
	for i, key := range keys {
		if i > 0 {
			b.WriteByte('.')
		}
		for j := range len(key) {
			if c := key[j]; !isWord(c) && c < 0x80 && c != '-' && c != ' ' {
				b.WriteByte('\\')
			}
			b.WriteByte(key[j])
		}
	}
	return b.String()
}

// shortPoint is the name of an extension point without the plugin's prefix.
func shortPoint(name string) string { return strings.TrimPrefix(name, pluginPrefix) }

// filterStep is a rule compiled for one extension point of one program.
type filterStep struct {
	when   *leaf
	value  *segment
	set    []compiledEdit
	delete []filterEdit
	silent bool
	field  *Field
}

type compiledEdit struct {
	filterEdit
	segment *segment
}

// filters compiles the rules for the extension points of an object, in order; nil where none applies.
func (b *unitBuilder) filters(points []string) (steps []*filterStep) {
	for _, point := range points {
		for _, r := range b.c.rules {
			for _, at := range r.points {
				if shortPoint(at.Text) != point {
					continue
				}
				r.bound = true
				if s := b.filterStep(r, at, point); s != nil {
					steps = append(steps, s)
				}
				break
			}
		}
	}
	return steps
}

func (b *unitBuilder) filterStep(r *filterRule, at *yamldoc.Node, point string) *filterStep {
	scope := b.scope
	b.scope, b.binder.Lenient = b.c.scope(append(slices.Clone(b.names), "result")), true
	defer func() { b.scope, b.binder.Lenient = scope, false }()
	when, never := b.condition(r.entry.When)
	if never {
		return nil
	}
	s := &filterStep{when: when, delete: r.delete, silent: r.entry.FailSilently, field: &Field{Path: "filter " + point, Pos: at.Pos()}}
	if r.value != nil {
		if s.value = b.segment(r.value, "filter "+point); s.value == nil {
			return nil
		}
	}
	for _, e := range r.set {
		seg := b.segment(e.value, "filter "+point+" "+e.shown)
		if seg == nil {
			return nil
		}
		s.set = append(s.set, compiledEdit{e, seg})
	}
	return s
}

// filterBlock is the part of a segment whose value filters change.
type filterBlock struct {
	body   *segment
	steps  []*filterStep
	result int // index of the variable result
}

// apply gives the value after all filters.
func (b *filterBlock) apply(f *expr.Frame, out *output) (expr.Value, *expr.Failure) {
	v := b.body.value(f)
	if failure := v.Failure(); failure != nil {
		return v, failure
	}
	// The filters of a value that a filter uses have a result of their own.
	outer := f.Given(b.result)
	defer f.Set(b.result, outer)
	for _, s := range b.steps {
		next, failure := s.apply(f, b.result, v)
		if failure == nil {
			v = next
			continue
		}
		if failure.Origin == nil {
			failure.Origin = s.field
		}
		if !s.silent || failure.Transient {
			return v, failure
		}
		out.warnings = append(out.warnings, Warning{Filter: s.field.Path, Pos: s.field.Pos, Reason: failure.Reason})
	}
	return v, nil
}

func (s *filterStep) apply(f *expr.Frame, result int, v expr.Value) (expr.Value, *expr.Failure) {
	f.Set(result, v)
	if s.when != nil {
		c := s.when.bound.Node(f)
		truth, ok := c.Bool()
		if !ok {
			failure := notBool("when", c)
			if failure.Origin == nil {
				failure.Origin = s.when.field
			}
			return v, failure
		}
		if !truth {
			return v, nil
		}
	}
	if s.value != nil {
		if v = s.value.value(f); v.Failure() != nil {
			return v, v.Failure()
		}
	}
	if len(s.set)+len(s.delete) == 0 {
		return v, nil
	}
	raw := v.Raw()
	if v.IsNull() {
		raw = "{}"
	} else if v.Kind() != expr.Object {
		return v, &expr.Failure{Reason: "set and delete need an object, the value is " + v.Kind().String()}
	}
	var err error
	for _, e := range s.set {
		member := e.segment.value(f)
		if failure := member.Failure(); failure != nil {
			return v, failure
		}
		if member.IsNull() {
			raw, err = sjson.Delete(raw, e.path)
		} else {
			raw, err = sjson.SetRaw(raw, e.path, member.JSON())
		}
		if err != nil {
			return v, &expr.Failure{Reason: e.shown + " cannot be set", Err: err}
		}
	}
	for _, e := range s.delete {
		if raw, err = sjson.Delete(raw, e.path); err != nil {
			return v, &expr.Failure{Reason: e.shown + " cannot be deleted", Err: err}
		}
	}
	return expr.JSONValue(raw), nil
}

// extensionPoints are the names that a YAML value gives to places in it.
func extensionPoints(n *yamldoc.Node) (points []string) {
	if n == nil {
		return nil
	}
	for _, e := range n.Entries {
		if e.Key.Text == "$filter" {
			for _, name := range append([]*yamldoc.Node{e.Value}, e.Value.Items...) {
				if name.Kind == yamldoc.Scalar && name.Text != "" {
					points = append(points, shortPoint(name.Text))
				}
			}
		}
		points = append(points, extensionPoints(e.Value)...)
	}
	for _, item := range n.Items {
		points = append(points, extensionPoints(item)...)
	}
	return points
}

// Warning is a filter that failed silently: the value stayed as it was.
type Warning struct {
	Filter string
	Pos    diag.Position
	Reason string
}

// unbound reports the filters whose extension point no mapping has.
func (c *compiler) unbound(files []*file) {
	for _, f := range files {
		c.note(extensionPoints(f.root))
	}
	for _, r := range c.rules {
		for _, at := range r.points {
			name := shortPoint(at.Text)
			if slices.Contains(c.extensionPoints, name) {
				continue
			}
			d := at.Diag(diag.Error, "unknown-extension-point", "", "no mapping has the extension point %q", at.Text)
			d.Hint = diag.DidYouMean(name, c.extensionPoints)
			c.fault(d)
		}
	}
}
