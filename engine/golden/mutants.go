package golden

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/yamldoc"
)

// outline is what the mutation test needs to know of a file.
type outline struct {
	extends string
	events  []string
}

func outlineOf(name string, src []byte) (o outline) {
	doc, _ := yamldoc.Parse(name, src)
	if doc == nil {
		return o
	}
	if n := doc.Root.Get("extends"); n != nil {
		o.extends = n.Text
	}
	if n := doc.Root.Get("events"); n != nil {
		for _, e := range n.Entries {
			o.events = append(o.events, e.Key.Text)
		}
	}
	return o
}

// unmutated are the keys of a mapping whose values no statement depends on.
var unmutated = map[string]bool{"description": true, "name": true, "version": true, "backend": true}

// named are the keys of a mapping whose members are named by the author: a changed name is another name.
var named = map[string]bool{"let": true}

// mutantsOf lists the changes of a file.
func mutantsOf(display, file string, src []byte) []mutant {
	doc, faults := yamldoc.Parse(display, src)
	if doc == nil || faults.HasErrors() {
		return nil
	}
	s := &mutations{file: file, src: src}
	s.document(doc.Root)
	return s.out
}

type mutations struct {
	file string
	src  []byte
	out  []mutant
}

// document walks the keys that the language defines.
func (s *mutations) document(n *yamldoc.Node) {
	for _, e := range n.Entries {
		switch key := e.Key.Text; {
		case unmutated[key]:
		case key == "prune":
			other := "empties"
			if e.Value.Text == other {
				other = "nulls"
			}
			s.replace(e.Value, other, "the other pruning")
		case key == "alternatives" || key == "filters":
			for _, item := range e.Value.Items {
				s.document(item)
			}
		case key == "children":
			s.document(e.Value)
		case e.Value.Kind == yamldoc.Mapping:
			s.members(e.Value, !named[key])
		default:
			s.value(e.Value)
		}
	}
}

// members walks an object whose keys the author chose.
func (s *mutations) members(n *yamldoc.Node, keys bool) {
	for _, e := range n.Entries {
		if !keys && e.Value.IsNull() {
			continue // a value that other files give
		}
		if empty := e.Value.Kind == yamldoc.Mapping && len(e.Value.Entries) == 0; keys && !empty && !strings.HasPrefix(e.Key.Text, "$") {
			s.replace(e.Key, e.Key.Text+"~", "another key")
		}
		s.value(e.Value)
	}
}

func (s *mutations) value(n *yamldoc.Node) {
	switch n.Kind {
	case yamldoc.Mapping:
		s.members(n, true)
	case yamldoc.Sequence:
		for _, item := range n.Items {
			s.value(item)
		}
	default:
		s.scalar(n)
	}
}

func (s *mutations) scalar(n *yamldoc.Node) {
	switch n.Tag {
	case yamldoc.Null:
		s.raw(n, `"mutant"`, "text for null")
		return
	case yamldoc.Bool:
		other := "true"
		if strings.EqualFold(n.Text, other) {
			other = "false"
		}
		s.raw(n, other, "the other truth value")
		return
	case yamldoc.Int, yamldoc.Float:
		s.raw(n, nextNumber(n.Text), "another number")
		if whole, ok := strings.CutSuffix(n.Text, ".0"); ok {
			s.raw(n, whole, "a whole number")
		}
		return
	}
	parts := mapping.Parts(n.Text)
	if len(parts) == 0 {
		s.replace(n, n.Text+"~", "another text")
	}
	for _, p := range parts {
		text := n.Text[p.From:p.To]
		change := func(from, to int, by, what string) {
			s.change(n, p.From+from, p.From+to, by, what)
		}
		if !p.Expression {
			change(len(text), len(text), "~", "another text")
			continue
		}
		change(0, len(text), "null", "null for the expression")
		expressionMutants(text, change)
	}
}

// change replaces a part of the text of a scalar.
func (s *mutations) change(n *yamldoc.Node, from, to int, by, what string) {
	text := n.Text[:from] + by + n.Text[to:]
	if text == n.Text {
		return
	}
	s.add(n, quoted(text), Survivor{Pos: n.PosAt(from), Old: quoteLine(n.Text[from:to]), New: quoteLine(by), What: what})
}

// replace puts another text in the place of a scalar, raw another scalar as YAML.
func (s *mutations) replace(n *yamldoc.Node, text, what string) {
	s.add(n, quoted(text), Survivor{Pos: n.Pos(), Old: quoteLine(n.Text), New: quoteLine(text), What: what})
}

func (s *mutations) raw(n *yamldoc.Node, yaml, what string) {
	s.add(n, yaml, Survivor{Pos: n.Pos(), Old: quoteLine(n.Text), New: yaml, What: what})
}

func (s *mutations) add(n *yamldoc.Node, yaml string, v Survivor) {
	from, to := offset(s.src, n.Pos()), offset(s.src, n.End())
	s.out = append(s.out, mutant{Survivor: v, file: s.file, source: splice(s.src, from, to, yaml)})
}

func quoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return strconv.Quote(text)
	}
	return strings.TrimSpace(b.String())
}

// offset is the byte offset of a position.
func offset(src []byte, p diag.Position) int {
	at := 0
	for line := 1; line < p.Line; line++ {
		n := bytes.IndexByte(src[at:], '\n')
		if n < 0 {
			return len(src)
		}
		at += n + 1
	}
	for column := 1; column < p.Column && at < len(src); column++ {
		_, size := utf8.DecodeRune(src[at:])
		at += size
	}
	return at
}

func nextNumber(text string) string {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		out := strconv.FormatFloat(f+1, 'f', -1, 64)
		if strings.ContainsAny(text, ".eE") && !strings.Contains(out, ".") {
			out += ".0"
		}
		return out
	}
	return "1" + text
}
