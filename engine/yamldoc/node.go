package yamldoc

import (
	"fmt"
	"unicode/utf8"

	"github.com/erbd/erbd/engine/diag"
)

// File is one document.
type File struct {
	// Name is the file name as given to [Parse]; positions carry it.
	Name string
	// Source is the text without a byte order mark. It must not be changed: the nodes refer to it.
	Source []byte
	// Root is the top node; never nil.
	Root *Node
}

// Kind is the shape of a node.
type Kind uint8

const (
	// Mapping has Entries.
	Mapping Kind = iota + 1
	// Sequence has Items.
	Sequence
	// Scalar has Text, Tag and Quoted.
	Scalar
)

// String returns "mapping", "sequence" or "scalar".
func (k Kind) String() string {
	switch k {
	case Mapping:
		return "mapping"
	case Sequence:
		return "sequence"
	case Scalar:
		return "scalar"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// style is how a scalar or collection was written.
type style uint8

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	jsonString // double-quoted, with JSON's escapes
	literal
	folded
	flow // of a collection: { } or [ ]
)

// Node is a mapping, a sequence or a scalar with its place in the file.
//
// The exported fields may be read by several goroutines at once, and all methods too; nothing is computed behind the
// caller's back.
type Node struct {
	Kind Kind
	// Entries of a mapping in the order of the file. Keys of a File that Parse found faultless are unique strings.
	Entries []Entry
	// Items of a sequence.
	Items []*Node
	// Text of a scalar, decoded.
	Text string
	// Tag of a scalar.
	Tag Tag
	// Quoted is set for scalars in quotes and for block scalars: all that can only be a string.
	Quoted bool

	doc        *document
	parent     *Node
	start, end int // byte offsets in the source, of the value without its tag
	style      style
	inexact    bool // the decoded text could not be traced back to the source
}

// Entry is one key with its value; neither is nil.
type Entry struct{ Key, Value *Node }

// Get returns the value of key in a mapping, the first one if the key is there twice, or nil if it is not there or n
// is no mapping (or nil).
func (n *Node) Get(key string) *Node {
	if e := n.Entry(key); e != nil {
		return e.Value
	}
	return nil
}

// Entry is [Node.Get] with the key's own node, for diagnostics about the key.
func (n *Node) Entry(key string) *Entry {
	if n == nil || n.Kind != Mapping {
		return nil
	}
	for i := range n.Entries {
		if k := n.Entries[i].Key; k.Text == key && k.Kind == Scalar {
			return &n.Entries[i]
		}
	}
	return nil
}

// IsNull reports whether n is nil or a null scalar, as in "key:" with nothing behind it.
func (n *Node) IsNull() bool { return n == nil || n.Kind == Scalar && n.Tag == Null }

// Pos returns where the node begins: its first character, the opening quote or bracket or the block indicator. A tag
// before it is not part of it. A null that is not written stands right behind the ':' or '-'.
func (n *Node) Pos() diag.Position { return n.doc.position(n.start) }

// End returns the place just behind the node's last character, the closing quote or bracket included, the line break
// that ends a block scalar not.
func (n *Node) End() diag.Position { return n.doc.position(n.end) }

// PosAt returns the place in the file of the byte at offset in Text: the character itself, the backslash of the escape,
// or the line break which became that character. Offsets inside a character of several bytes mean that character,
// len(Text) and more the place just behind the last one, negative ones the first one. For other nodes than scalars, and
// for a null that is not written, it is Pos.
func (n *Node) PosAt(offset int) diag.Position {
	from, _ := n.sourceRange(offset, offset)
	return n.doc.position(from)
}

// Path returns where the node is in the document, such as events."edx.video.played".verb or routers[0].url; "" for
// the root. A key has the path of its value.
func (n *Node) Path() string {
	p := n.parent
	if p == nil {
		return ""
	}
	outer := p.Path()
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Key == n || e.Value == n {
			if e.Key.Kind != Scalar {
				return diag.Key(outer, "?")
			}
			return diag.Key(outer, e.Key.Text)
		}
	}
	for i, item := range p.Items {
		if item == n {
			return diag.Index(outer, i)
		}
	}
	return outer
}

// Diag returns a diagnostic about the whole node: at Pos to End, with the source line filled in. An empty path means
// [Node.Path]. If one of args is an error formatted with %w, it becomes the diagnostic's cause.
func (n *Node) Diag(sev diag.Severity, code, path, format string, args ...any) *diag.Diagnostic {
	return n.diagnose(n.start, n.end, sev, code, path, format, args)
}

// DiagAt is [Node.Diag] about the part of a scalar's Text from byte offset from up to, not including, to. With
// to <= from it points at one character.
func (n *Node) DiagAt(from, to int, sev diag.Severity, code, path, format string, args ...any) *diag.Diagnostic {
	start, end := n.sourceRange(from, to)
	return n.diagnose(start, end, sev, code, path, format, args)
}

func (n *Node) diagnose(start, end int, sev diag.Severity, code, path, format string, args []any) *diag.Diagnostic {
	if path == "" {
		path = n.Path()
	}
	d := n.doc.diag(start, end, sev, code, format, args...)
	d.Path = path
	return d
}

// sourceRange gives the source bytes of Text[from:to].
func (n *Node) sourceRange(from, to int) (start, end int) {
	if n.Kind != Scalar || n.inexact {
		return n.start, n.end
	}
	from = min(max(from, 0), len(n.Text))
	for from < len(n.Text) && from > 0 && !utf8.RuneStart(n.Text[from]) {
		from--
	}
	to = min(to, len(n.Text))
	for to > from && to < len(n.Text) && !utf8.RuneStart(n.Text[to]) {
		to++
	}
	pieces, _, _ := n.doc.scan(nil, n.style, n.start, n.Text)
	if len(pieces) == 0 { // no text: between the quotes, or where the text would begin
		switch n.style {
		case plain:
			return n.start, n.start
		case literal, folded:
			return n.end, n.end
		}
		return n.start + 1, n.start + 1
	}
	start = piecesStart(pieces, from, n.start)
	if to <= from {
		return start, start
	}
	return start, max(piecesEnd(pieces, to), start)
}
