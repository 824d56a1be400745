package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Diff is one value that is not as it must be.
type Diff struct {
	// Path is the value's place, such as result.score.raw; with several statements statements[1].result.score.raw.
	Path string `json:"path"`
	// Want and Got are JSON; empty where there is no value.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
	// At is where the case says what it wants.
	At diag.Position `json:"at"`
	// From are the lines of the mapping that made Got, the one of the statement first, then the values that it only
	// passes on. Empty where no line writes there.
	From []Source `json:"from,omitempty"`

	statement int
	path      string
}

// Source is a line of a mapping.
type Source struct {
	Pos diag.Position `json:"pos"`
	// Text is the expression with ${…}, or the literal.
	Text string `json:"text"`
}

// maxDiffs bounds the differences of one case; who has more has the wrong statement.
const maxDiffs = 50

// differ compares whole values.
type differ struct {
	statement int
	diffs     []Diff
}

// compare adds the differences between a value wanted and a value got; either may be absent.
func (d *differ) compare(path string, at diag.Position, node *yamldoc.Node, want, got any, hasWant, hasGot bool) {
	if node != nil {
		at = node.Pos()
	}
	if len(d.diffs) >= maxDiffs {
		return
	}
	if hasWant && hasGot {
		switch w := want.(type) {
		case map[string]any:
			if g, ok := got.(map[string]any); ok {
				for _, key := range keysOf(w, g) {
					wv, inWant := w[key]
					gv, inGot := g[key]
					d.compare(mapping.JoinPath(path, key), at, node.Get(key), wv, gv, inWant, inGot)
				}
				return
			}
		case []any:
			if g, ok := got.([]any); ok {
				for i := range max(len(w), len(g)) {
					var item *yamldoc.Node
					if node != nil && i < len(node.Items) {
						item = node.Items[i]
					}
					d.compare(mapping.IndexPath(path, i), at, item, at2(w, i), at2(g, i), i < len(w), i < len(g))
				}
				return
			}
		}
		if equal(want, got) {
			return
		}
	}
	diff := Diff{At: at, statement: d.statement, path: path}
	if hasWant {
		diff.Want = compact(want)
	}
	if hasGot {
		diff.Got = compact(got)
	}
	d.diffs = append(d.diffs, diff)
}

func at2(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

func keysOf(a, b map[string]any) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// equal compares scalars, and values of different kinds. A number with a fraction is not equal to a whole one: 1.0
// and 1 are different output.
func equal(want, got any) bool {
	w, ok1 := want.(json.Number)
	g, ok2 := got.(json.Number)
	if !ok1 || !ok2 {
		switch want.(type) {
		case map[string]any, []any:
			return false
		}
		switch got.(type) {
		case map[string]any, []any:
			return false
		}
		return want == got
	}
	if w == g {
		return true
	}
	if isWhole(w) || isWhole(g) {
		return false
	}
	a, err1 := strconv.ParseFloat(string(w), 64)
	b, err2 := strconv.ParseFloat(string(g), 64)
	return err1 == nil && err2 == nil && a == b
}

func isWhole(n json.Number) bool { return !strings.ContainsAny(string(n), ".eE") }

func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return strings.TrimSpace(b.String())
}

func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("statement is no JSON: %w", err)
	}
	return v, nil
}
