package yamldoc

import (
	"strings"

	"gopkg.in/yaml.v3"
)

type byteRange struct{ start, end int }

// properties are what stands before a node's content.
type properties struct {
	anchor, tag byteRange
	content     int
}

// properties skips the tag and the anchor of a node; the library counts them to the node. What belongs to a block
// mapping's first key begins at the same place as the mapping, hence the look at what the library knows of the node.
func (b *builder) properties(start int, y *yaml.Node) properties {
	p := properties{content: start}
	src := b.doc.src
	// Behind the properties of a scalar that is not written comes something else, so they end it.
	unwritten := y.Kind == yaml.ScalarNode && y.Value == "" && y.Style&^yaml.TaggedStyle == 0
	for i := start; i < len(src); i = b.skipWhite(i) {
		end := i
		if src[i] == '!' { // elsewhere the search would cost the square of a line without white space
			end = b.wordEnd(i)
		}
		switch {
		case src[i] == '!' && p.tag.end == 0 && (y.Style&yaml.TaggedStyle != 0 || end == i+1 && b.lone(y, end)):
			p.tag = byteRange{i, end}
		case src[i] == '&' && p.anchor.end == 0 && y.Anchor != "":
			end = i + 1 + len(y.Anchor)
			p.anchor = byteRange{i, end}
		default:
			return p
		}
		p.content = end
		if !unwritten {
			p.content = b.skipWhite(end)
		}
		i = end
	}
	return p
}

// lone reports whether the tag "!" that ends at end is the node's own: it leaves no trace in the library's node.
func (b *builder) lone(y *yaml.Node, end int) bool {
	i := b.skipWhite(end)
	switch {
	case y.Kind == yaml.ScalarNode:
		return true
	case y.Style&yaml.FlowStyle == 0 || i >= len(b.doc.src):
		return false
	}
	return b.doc.src[i] == '{' || b.doc.src[i] == '['
}

// wordEnd is the end of the run of characters from i that are no white space.
func (b *builder) wordEnd(i int) int {
	for i < len(b.doc.src) && strings.IndexByte(" \t\r\n", b.doc.src[i]) < 0 {
		i++
	}
	return i
}

// skipWhite skips white space and comments.
func (b *builder) skipWhite(i int) int {
	src := b.doc.src
	for i < len(src) {
		switch src[i] {
		case ' ', '\t', '\r', '\n':
			i++
		case '#':
			for i < len(src) && src[i] != '\n' {
				i++
			}
		default:
			return i
		}
	}
	return i
}

// coreTags are the tags that may be written, by every name that the library gives them.
var coreTags = map[string]struct {
	kind Kind
	tag  Tag
}{
	"!!str": {Scalar, String}, "!!int": {Scalar, Int}, "!!float": {Scalar, Float}, "!!bool": {Scalar, Bool},
	"!!null": {Scalar, Null}, "!!map": {Mapping, String}, "!!seq": {Sequence, String},
}

// tag sets the tag of a scalar, from the one written at r or from its text.
func (b *builder) tag(n *Node, r byteRange, y *yaml.Node) {
	if y.Kind == yaml.AliasNode {
		return
	}
	natural, finite := String, true
	if n.Kind == Scalar && !n.Quoted {
		natural, finite = resolve(n.Text)
	}
	if r.end == 0 {
		n.Tag = natural
		if !finite {
			b.fault(n, n.start, n.end, CodeNotFinite, "quote it if the text is meant", "number is not finite")
		}
		return
	}
	if string(b.doc.src[r.start:r.end]) == "!" {
		n.Tag = String
		return
	}
	core, ok := coreTags[y.Tag]
	if !ok {
		n.Tag = natural
		b.fault(n, r.start, r.end, CodeTag, "remove it", "tag is not one of the core schema")
		return
	}
	switch {
	case core.kind != n.Kind:
	case n.Kind != Scalar:
		return
	case core.tag == String, core.tag == natural && finite, core.tag == Float && natural == Int:
		n.Tag = core.tag
		return
	}
	n.Tag = natural
	b.fault(n, r.start, n.end, CodeTag, "remove it", "value does not fit its tag %s", y.Tag)
}
