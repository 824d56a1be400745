package yamldoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/erbd/erbd/engine/diag"
)

// Limits of a document. They keep a mistaken or hostile file from costing more than a moment.
const (
	// MaxBytes is the greatest size of a file: 1 MiB.
	MaxBytes = 1 << 20
	// MaxDepth is how deep mappings and sequences may nest. A scalar at the root has depth 1.
	MaxDepth = 64
	// MaxFaults is how many diagnostics Parse gives at most.
	MaxFaults = 100
)

// Codes of the diagnostics of this package.
const (
	CodeSyntax    = "yaml-syntax"       // the YAML parser does not understand the file
	CodeTooLarge  = "too-large"         // more than MaxBytes
	CodeTooDeep   = "too-deep"          // more than MaxDepth
	CodeTooMany   = "too-many-faults"   // more than MaxFaults, the rest is left out
	CodeUTF8      = "invalid-utf8"      // not UTF-8
	CodeControl   = "control-character" // a character that may not stand in YAML
	CodeLineBreak = "line-break"        // a line break other than LF and CR LF
	CodeEmpty     = "empty-file"        // nothing but comments and white space
	CodeSecond    = "second-document"   // more than one document
	CodeDuplicate = "duplicate-key"     // a key twice in one mapping
	CodeKey       = "key-not-string"    // a key that is no string
	CodeMerge     = "merge-key"         // <<
	CodeAnchor    = "anchor"            // &name
	CodeAlias     = "alias"             // *name
	CodeTag       = "unknown-tag"       // a tag outside the core schema, or one that the value does not fit
	CodeNotFinite = "not-finite"        // infinity, not-a-number, or a number too large
)

// Parse reads one document. name is the file name for positions; src must not be changed while the File is in use.
//
// All faults are returned, in the order of the file, and Parse never panics. The File is nil if the text could not be
// read at all; otherwise it is complete even with faults (a refused alias is a null, a duplicate key is there twice),
// so that further checks can add theirs before the list is shown. A File that came with errors must not be used.
// Parse may be called by several goroutines at once.
func Parse(name string, src []byte) (*File, diag.List) {
	p := &builder{}
	f := p.parse(name, src)
	for i, n := range p.about {
		if n != nil {
			p.faults[i].Path = n.Path()
		}
	}
	p.faults.Sort()
	return f, p.faults
}

// builder makes the nodes of one document and collects its faults.
type builder struct {
	doc    *document
	faults diag.List
	about  []*Node // of each fault
	full   bool
	pieces []piece // scratch
	cursor cursor
}

// fault adds a fault about the bytes from start to end. It is about node n, whose path is filled in when the tree is
// complete; n may be nil.
func (b *builder) fault(n *Node, start, end int, code, hint, format string, args ...any) {
	if b.full {
		return
	}
	if len(b.faults) == MaxFaults-1 {
		b.full = true
		n, code, hint, format, args = nil, CodeTooMany, "", "too many faults; the rest of them is not shown", nil
	}
	d := b.doc.diag(start, end, diag.Error, code, format, args...)
	d.Hint = hint
	b.faults, b.about = append(b.faults, d), append(b.about, n)
}

func (b *builder) parse(name string, src []byte) *File {
	if len(src) > MaxBytes {
		b.doc = newDocument(name, nil)
		b.fault(nil, 0, 0, CodeTooLarge, "split it into several files", "file has %d bytes, more than the %d allowed", len(src), MaxBytes)
		return nil
	}
	utf16 := bytes.HasPrefix(src, []byte{0xff, 0xfe}) || bytes.HasPrefix(src, []byte{0xfe, 0xff})
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	b.doc = newDocument(name, src)
	if utf16 {
		b.doc = newDocument(name, nil)
		b.fault(nil, 0, 0, CodeUTF8, "save the file as UTF-8", "file is UTF-16, not UTF-8")
		return nil
	}
	if !b.checkUTF8() {
		return nil
	}
	var root *Node
	if first := bytes.TrimLeft(src, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') && json.Valid(src) {
		root = b.json()
	} else if b.checkCharacters() {
		root = b.yaml()
	}
	if root == nil {
		return nil
	}
	b.check(root, 1)
	return &File{Name: name, Source: src, Root: root}
}

func (b *builder) checkUTF8() bool {
	src := b.doc.src
	if utf8.Valid(src) {
		return true
	}
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size == 1 {
			b.fault(nil, i, i, CodeUTF8, "save the file as UTF-8", "byte 0x%02x is not UTF-8", src[i])
			return false
		}
		i += size
	}
	return true
}

// checkCharacters refuses what may not stand in YAML, and the line breaks that editors do not count as lines.
func (b *builder) checkCharacters() bool {
	src := b.doc.src
	for i, r := range string(src) {
		switch {
		case r >= 0x20 && r < 0x7f, r == '\n', r == '\t', r > 0xa0 && r < 0x2028:
			continue
		case r == '\r':
			if i+1 < len(src) && src[i+1] == '\n' {
				continue
			}
			b.fault(nil, i, i, CodeLineBreak, "end lines with LF or CR LF", "carriage return without line feed")
		case r == 0x85, r == 0x2028, r == 0x2029:
			b.fault(nil, i, i+utf8.RuneLen(r), CodeLineBreak, fmt.Sprintf(`write it as \u%04x in double quotes`, r),
				"line break U+%04X is not allowed", r)
		case r < 0xa0, r == 0xfffe, r == 0xffff:
			b.fault(nil, i, i+utf8.RuneLen(r), CodeControl, fmt.Sprintf(`write it as \u%04x in double quotes`, r),
				"control character U+%04X is not allowed", r)
		case r == 0xfeff:
			b.fault(nil, i, i+utf8.RuneLen(r), CodeControl, "remove it", "byte order mark U+FEFF is allowed at the start only")
		}
	}
	return len(b.faults) == 0
}

// errLibrary marks a failure of the YAML library itself.
var errLibrary = errors.New("the YAML parser failed")

// decodeYAML reads up to two documents; a third one or nothing at all is nil. A panic of the library becomes an error.
func decodeYAML(src []byte) (first, second *yaml.Node, err error) {
	return decodeFrom(bytes.NewReader(src))
}

func decodeFrom(r io.Reader) (first, second *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errLibrary, p)
		}
	}()
	dec := yaml.NewDecoder(r)
	docs := [2]yaml.Node{}
	for i := range docs {
		if err := dec.Decode(&docs[i]); err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return first, second, err
		}
		if i == 0 {
			first = &docs[i]
		} else {
			second = &docs[i]
		}
	}
	return first, second, nil
}

// yaml reads the document with the YAML library. It is nil if it cannot be read.
func (b *builder) yaml() *Node {
	first, second, err := decodeYAML(b.doc.src)
	if err != nil {
		b.syntax(err)
		return nil
	}
	if second != nil {
		at := b.cursor.offset(b.doc, second.Line, second.Column)
		if i := bytes.Index(b.doc.src[at:], []byte("---")); i == 0 {
			b.fault(nil, at, at+3, CodeSecond, "put it into a file of its own", "a second document begins here; a file holds one")
		} else {
			b.fault(nil, at, at, CodeSecond, "put it into a file of its own", "a second document begins here; a file holds one")
		}
	}
	if first == nil || len(first.Content) == 0 {
		b.fault(nil, 0, 0, CodeEmpty, "", "file is empty")
		return nil
	}
	root := b.node(nil, first.Content[0])
	if root.Kind == Scalar && root.Tag == Null && root.Text == "" && !root.Quoted {
		b.fault(nil, 0, 0, CodeEmpty, "", "file is empty")
		return nil
	}
	return root
}

// node converts a node of the library, with all below it.
func (b *builder) node(parent *Node, y *yaml.Node) *Node {
	n := &Node{Kind: Scalar, Tag: Null, doc: b.doc, parent: parent}
	start := b.cursor.offset(b.doc, y.Line, y.Column)
	props := b.properties(start, y)
	n.start, n.end = props.content, props.content
	if props.anchor.end > 0 {
		b.fault(n, props.anchor.start, props.anchor.end, CodeAnchor, "write the value out", "anchors are not allowed")
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.Kind, n.Tag = Mapping, String
		n.Entries = make([]Entry, 0, len(y.Content)/2)
		for i := 0; i+1 < len(y.Content); i += 2 {
			n.Entries = append(n.Entries, Entry{Key: b.node(n, y.Content[i]), Value: b.node(n, y.Content[i+1])})
		}
		b.collectionEnd(n, y, '{', '}')
	case yaml.SequenceNode:
		n.Kind, n.Tag = Sequence, String
		n.Items = make([]*Node, 0, len(y.Content))
		for _, item := range y.Content {
			n.Items = append(n.Items, b.node(n, item))
		}
		b.collectionEnd(n, y, '[', ']')
	case yaml.ScalarNode:
		b.scalar(n, y)
	case yaml.AliasNode:
		n.end = n.start + 1 + len(y.Value)
		b.fault(n, n.start, n.end, CodeAlias, "write the value out", "aliases are not allowed")
	}
	b.tag(n, props.tag, y)
	return n
}

func (b *builder) scalar(n *Node, y *yaml.Node) {
	n.Text = y.Value
	switch {
	case y.Style&yaml.DoubleQuotedStyle != 0:
		n.style = doubleQuoted
	case y.Style&yaml.SingleQuotedStyle != 0:
		n.style = singleQuoted
	case y.Style&yaml.LiteralStyle != 0:
		n.style = literal
	case y.Style&yaml.FoldedStyle != 0:
		n.style = folded
	}
	n.Quoted = n.style != plain
	n.Tag = String
	if n.Text == "" && !n.Quoted {
		n.start = b.behindIndicator(n.start)
	}
	var ok bool
	b.pieces, n.end, ok = b.doc.scan(b.pieces, n.style, n.start, n.Text)
	if !ok {
		n.inexact, n.end = true, n.start
	}
}

// behindIndicator moves the place of a value that is not written back to right behind its ':' or '-'; inside of
// brackets the library gives the place of what follows.
func (b *builder) behindIndicator(at int) int {
	i := at
	for i > 0 && strings.IndexByte(" \t\r\n", b.doc.src[i-1]) >= 0 {
		i--
	}
	if i > 0 && (b.doc.src[i-1] == ':' || b.doc.src[i-1] == '-') {
		return i
	}
	return at
}

// collectionEnd finds the end of a collection whose nodes are there: of its last node, or its closing bracket.
func (b *builder) collectionEnd(n *Node, y *yaml.Node, open, closing byte) {
	var last *Node
	switch {
	case len(n.Entries) > 0:
		last = n.Entries[len(n.Entries)-1].Value
		if key := n.Entries[len(n.Entries)-1].Key; last.end < key.end {
			last = key
		}
	case len(n.Items) > 0:
		last = n.Items[len(n.Items)-1]
	}
	src := b.doc.src
	if last != nil {
		n.end = max(n.end, last.end)
	}
	if y.Style&yaml.FlowStyle == 0 || n.start >= len(src) || src[n.start] != open {
		return // a block, or a single pair in a flow sequence
	}
	n.style = flow
	i := n.end
	if last == nil {
		i++
	}
	for i < len(src) {
		switch c := src[i]; {
		case c == closing:
			n.end = i + 1
			return
		case c == '#':
			for i < len(src) && src[i] != '\n' {
				i++
			}
		case c == ',' || c == ':' || c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		default:
			return
		}
	}
}
