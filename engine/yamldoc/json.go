package yamldoc

import "strings"

// json reads a source that is known to be valid JSON.
func (b *builder) json() *Node {
	r := &jsonReader{b: b, src: b.doc.src}
	return r.value(nil)
}

type jsonReader struct {
	b   *builder
	src []byte
	at  int
}

// white skips white space and, since the source is valid, the separators.
func (r *jsonReader) white() {
	for r.at < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[r.at]) >= 0 {
		r.at++
	}
}

func (r *jsonReader) value(parent *Node) *Node {
	r.white()
	n := &Node{doc: r.b.doc, parent: parent, start: r.at, style: flow}
	switch r.src[r.at] {
	case '{':
		n.Kind = Mapping
		r.at++
		for r.white(); r.src[r.at] != '}'; r.white() {
			key := r.value(n)
			n.Entries = append(n.Entries, Entry{Key: key, Value: r.value(n)})
		}
		r.at++
	case '[':
		n.Kind = Sequence
		r.at++
		for r.white(); r.src[r.at] != ']'; r.white() {
			n.Items = append(n.Items, r.value(n))
		}
		r.at++
	case '"':
		n.Kind, n.Quoted, n.style = Scalar, true, jsonString
		r.text(n)
	default:
		n.Kind, n.style = Scalar, plain
		for r.at < len(r.src) && strings.IndexByte(" \t\r\n,:]}", r.src[r.at]) < 0 {
			r.at++
		}
		n.Text = string(r.src[n.start:r.at])
	}
	n.end = r.at
	if n.Kind == Scalar && !n.Quoted {
		finite := true
		if n.Tag, finite = resolve(n.Text); !finite {
			r.b.fault(n, n.start, n.end, CodeNotFinite, "quote it if the text is meant", "number is not finite")
		}
	}
	return n
}

// text reads a string.
func (r *jsonReader) text(n *Node) {
	r.at++
	from := r.at
	var s strings.Builder
	for r.src[r.at] != '"' {
		if r.src[r.at] != '\\' {
			r.at++
			continue
		}
		s.Write(r.src[from:r.at])
		size, text := escape(r.src[r.at:], true)
		s.WriteString(text)
		r.at += max(size, 1)
		from = r.at
	}
	s.Write(r.src[from:r.at])
	n.Text = s.String()
	r.at++
}
