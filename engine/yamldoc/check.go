package yamldoc

import "fmt"

// check reports what the syntax allows but a document may not have: too much depth, keys that are no strings, keys
// that are there twice.
func (b *builder) check(n *Node, depth int) {
	if b.full { // what would be reported is left out anyway, and finding its line costs
		return
	}
	if depth > MaxDepth {
		b.fault(n, n.start, n.start, CodeTooDeep, "", "document nests more than %d deep", MaxDepth)
		return
	}
	for _, item := range n.Items {
		b.check(item, depth+1)
	}
	var seen map[string]*Node
	if len(n.Entries) > 1 {
		seen = make(map[string]*Node, len(n.Entries))
	}
	for _, e := range n.Entries {
		if b.full {
			return
		}
		if b.checkKey(e.Key) {
			if first := seen[e.Key.Text]; first != nil {
				b.fault(e.Key, e.Key.start, e.Key.end, CodeDuplicate, "", "key %q is there already, at line %d", e.Key.Text, first.Pos().Line)
			} else if seen != nil {
				seen[e.Key.Text] = e.Key
			}
		}
		b.check(e.Value, depth+1)
	}
}

func (b *builder) checkKey(key *Node) bool {
	switch {
	case key.Kind != Scalar:
		b.fault(key, key.start, key.end, CodeKey, "", "a %s cannot be a key; use a string", key.Kind)
		return false
	case key.Tag == String && !key.Quoted && key.Text == "<<":
		b.fault(key, key.start, key.end, CodeMerge, "write the entries out", "merge keys are not allowed")
		return false
	case key.Tag != String:
		hint := fmt.Sprintf("quote it: %q", key.Text)
		if key.Text == "" {
			hint = "write the key before the ':'"
		}
		b.fault(key, key.start, key.end, CodeKey, hint, "key is %s, not a string", key.Tag.article())
		return false
	}
	return true
}

// article gives the tag with its article, as in "an integer".
func (t Tag) article() string {
	switch t {
	case Int:
		return "an integer"
	case Null:
		return "null"
	}
	return "a " + t.String()
}
