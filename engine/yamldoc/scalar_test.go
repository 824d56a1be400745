package yamldoc

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// load parses a document that must be faultless.
func load(t testing.TB, src string) *Node {
	t.Helper()
	f, faults := Parse("f.yaml", []byte(src))
	require.Empty(t, faults.Render(), "source %q", src)
	require.NotNil(t, f)
	return f.Root
}

// places gives line:column of every rune of the node's text, and of its end.
func places(n *Node) string {
	var out []string
	for i, r := range n.Text {
		p := n.PosAt(i)
		out = append(out, fmt.Sprintf("%q@%d:%d", r, p.Line, p.Column))
	}
	p := n.PosAt(len(n.Text))
	return strings.Join(append(out, fmt.Sprintf("end@%d:%d", p.Line, p.Column)), " ")
}

func TestPosAt(t *testing.T) {
	tests := []struct {
		name, src, want, end string
	}{
		{"plain", "k: ab\n", "'a'@1:4 'b'@1:5 end@1:6", "1:6"},
		{"plain at the end of file", "k: ab", "'a'@1:4 'b'@1:5 end@1:6", "1:6"},
		{"plain before a comment", "k: a b  # no\n", "'a'@1:4 ' '@1:5 'b'@1:6 end@1:7", "1:7"},
		{"plain behind non-ASCII", "é: 日本\n", "'日'@1:4 '本'@1:5 end@1:6", "1:6"},
		{"plain behind a byte order mark", "\ufeffk: a\n", "'a'@1:4 end@1:5", "1:5"},
		{"plain on the next line", "k:\n  ab\n", "'a'@2:3 'b'@2:4 end@2:5", "2:5"},
		{"plain over two lines", "k: a \n   b\n", "'a'@1:4 ' '@1:6 'b'@2:4 end@2:5", "2:5"},
		{"plain with empty lines", "k: a\n\n \n  b\n", "'a'@1:4 '\\n'@2:1 '\\n'@3:2 'b'@4:3 end@4:4", "4:4"},
		{"plain CR LF", "k: a\r\n  b\r\n", "'a'@1:4 ' '@1:5 'b'@2:3 end@2:4", "2:4"},
		{"plain with tabs", "k: a\tb\t\n \t c\n", "'a'@1:4 '\\t'@1:5 'b'@1:6 ' '@1:8 'c'@2:4 end@2:5", "2:5"},
		{"plain in a flow", "k: [x, a b]\n", "'a'@1:8 ' '@1:9 'b'@1:10 end@1:11", "1:11"},
		{"plain in a flow over lines", "k: [x, a\nb]\n", "'a'@1:8 ' '@1:9 'b'@2:1 end@2:2", "2:2"},
		{"plain tagged", "k: !!str 12\n", "'1'@1:10 '2'@1:11 end@1:12", "1:12"},
		{"plain tagged on the next line", "k: !!str # c\n  12\n", "'1'@2:3 '2'@2:4 end@2:5", "2:5"},
		{"plain tagged verbatim", "k: !<tag:yaml.org,2002:str> 1\n", "'1'@1:29 end@1:30", "1:30"},
		{"plain tagged !", "k: ! 12\n", "'1'@1:6 '2'@1:7 end@1:8", "1:8"},
		{"plain tagged key", "k: {a: 1, !!str b: c}\n", "'c'@1:20 end@1:21", "1:21"},
		{"plain in a tagged mapping", "k: !!map\n  !!str b: !!str c\n", "'c'@2:18 end@2:19", "2:19"},
		{"plain key with spaces", "k: {a: b,\n  c  : d}\n", "'d'@2:8 end@2:9", "2:9"},
		{"nothing", "k:\n", "end@1:3", "1:3"},
		{"nothing but a tag", "k: !!str\nl: a\n", "'a'@2:4 end@2:5", "2:5"},

		{"single quotes", "k: 'ab'\n", "'a'@1:5 'b'@1:6 end@1:7", "1:8"},
		{"single quotes empty", "k: ''\n", "end@1:5", "1:6"},
		{"single quotes doubled", "k: 'a''b'''\n", "'a'@1:5 '\\''@1:6 'b'@1:8 '\\''@1:9 end@1:11", "1:12"},
		{"single quotes folded", "k: 'a \n  b\n\n  c'\n", "'a'@1:5 ' '@1:7 'b'@2:3 '\\n'@3:1 'c'@4:3 end@4:4", "4:5"},
		{"single quotes with a line first and last", "k: '\n a\n '\n", "' '@1:5 'a'@2:2 ' '@2:3 end@2:3", "3:3"},
		{"single quotes backslash", "k: '\\n'\n", "'\\\\'@1:5 'n'@1:6 end@1:7", "1:8"},

		{"double quotes", `k: "ab"`, "'a'@1:5 'b'@1:6 end@1:7", "1:8"},
		{"double quotes escapes", `k: "a\n\x41\u00e9\U0001F600\"b"`,
			"'a'@1:5 '\\n'@1:6 'A'@1:8 'é'@1:12 '😀'@1:18 '\"'@1:28 'b'@1:30 end@1:31", "1:32"},
		{"double quotes ending in an escape", `k: "a\n"`, "'a'@1:5 '\\n'@1:6 end@1:8", "1:9"},
		{"double quotes more escapes", `k: "\0\a\b\t\v\f\r\e\ \'\\\N\_\L\P"`,
			`'\x00'@1:5 '\a'@1:7 '\b'@1:9 '\t'@1:11 '\v'@1:13 '\f'@1:15 '\r'@1:17 '\x1b'@1:19 ' '@1:21 '\''@1:23 ` +
				`'\\'@1:25 '\u0085'@1:27 '\u00a0'@1:29 '\u2028'@1:31 '\u2029'@1:33 end@1:35`, "1:36"},
		{"double quotes non-ASCII", `k: "日\n本"`, "'日'@1:5 '\\n'@1:6 '本'@1:8 end@1:9", "1:10"},
		{"double quotes folded", "k: \"a\t\n\n  b\"\n", "'a'@1:5 '\\n'@2:1 'b'@3:3 end@3:4", "3:5"},
		{"double quotes escaped break", "k: \"a \\\n   b\"\n", "'a'@1:5 ' '@1:6 'b'@2:4 end@2:5", "2:6"},
		{"double quotes escaped break, empty line", "k: \"a\\\n\n  b\"\n", "'a'@1:5 '\\n'@2:1 'b'@3:3 end@3:4", "3:5"},
		{"double quotes escaped break, CR LF", "k: \"a\\\r\n\r\n  b\"\r\n", "'a'@1:5 '\\n'@2:1 'b'@3:3 end@3:4", "3:5"},
		{"double quotes escaped break at the end", "k: \"a\\\n  \"\n", "'a'@1:5 end@1:6", "2:4"},
		{"double quotes escaped leading space", "k: \"a\\\n  \\ b\"\n", "'a'@1:5 ' '@2:3 'b'@2:5 end@2:6", "2:7"},

		{"literal", "k: |\n  ab\n  c\n", "'a'@2:3 'b'@2:4 '\\n'@2:5 'c'@3:3 '\\n'@3:4 end@3:4", "3:4"},
		{"literal without last break", "k: |\n  a", "'a'@2:3 end@2:4", "2:4"},
		{"literal strip", "k: |-\n  a\n  b\n\n", "'a'@2:3 '\\n'@2:4 'b'@3:3 end@3:4", "3:4"},
		{"literal keep", "k: |+\n  a\n\n \n", "'a'@2:3 '\\n'@2:4 '\\n'@3:1 '\\n'@4:2 end@4:2", "2:4"},
		{"literal keep nothing but breaks", "k: |+\n\n\n", "'\\n'@2:1 '\\n'@3:1 end@3:1", "1:6"},
		{"literal empty", "k: |\n", "end@1:5", "1:5"},
		{"literal comment in the header", "k: | # c\n  a\n", "'a'@2:3 '\\n'@2:4 end@2:4", "2:4"},
		{"literal empty lines first", "k: |\n\n   \n   a\n", "'\\n'@2:1 '\\n'@3:4 'a'@4:4 '\\n'@4:5 end@4:5", "4:5"},
		{"literal indicator", "k: |1\n   a\n b\n",
			"' '@2:2 ' '@2:3 'a'@2:4 '\\n'@2:5 'b'@3:2 '\\n'@3:3 end@3:3", "3:3"},
		{"literal indicator and chomping", "k: |2-\n   a\n", "' '@2:3 'a'@2:4 end@2:5", "2:5"},
		{"literal chomping and indicator", "k: |-2\n   a\n", "' '@2:3 'a'@2:4 end@2:5", "2:5"},
		{"literal of blanks", "k: |1\n \n  \n   \n a\n",
			"'\\n'@2:2 ' '@3:2 '\\n'@3:3 ' '@4:2 ' '@4:3 '\\n'@4:4 'a'@5:2 '\\n'@5:3 end@5:3", "5:3"},
		{"literal of a line of blanks", "k: |1\n   \n", "' '@2:2 ' '@2:3 '\\n'@2:4 end@2:4", "2:4"},
		{"literal tab", "k: |2\n  \ta\n", "'\\t'@2:3 'a'@2:4 '\\n'@2:5 end@2:5", "2:5"},
		{"literal CR LF", "k: |\r\n  a\r\n  b\r\n", "'a'@2:3 '\\n'@2:4 'b'@3:3 '\\n'@3:4 end@3:4", "3:4"},
		{"literal tagged", "k: !!str |\n  a\n", "'a'@2:3 '\\n'@2:4 end@2:4", "2:4"},
		{"literal non-ASCII", "k: |\n  日 é\n", "'日'@2:3 ' '@2:4 'é'@2:5 '\\n'@2:6 end@2:6", "2:6"},
		{"literal in a sequence", "k:\n- |\n a\n", "'a'@3:2 '\\n'@3:3 end@3:3", "3:3"},
		{"literal before a less indented line", "k:\n  l: |\n    a\n  # c\nm: z\n", "'z'@5:4 end@5:5", "5:5"},

		{"folded", "k: >\n  a\n  b\n", "'a'@2:3 ' '@2:4 'b'@3:3 '\\n'@3:4 end@3:4", "3:4"},
		{"folded empty line", "k: >\n  a\n\n  b\n", "'a'@2:3 '\\n'@3:1 'b'@4:3 '\\n'@4:4 end@4:4", "4:4"},
		{"folded more indented", "k: >\n  a\n   b\n  c\n",
			"'a'@2:3 '\\n'@2:4 ' '@3:3 'b'@3:4 '\\n'@3:5 'c'@4:3 '\\n'@4:4 end@4:4", "4:4"},
		{"folded strip", "k: >-\n  a\n  b\n", "'a'@2:3 ' '@2:4 'b'@3:3 end@3:4", "3:4"},
		{"folded keep", "k: >+\n  a\n\n", "'a'@2:3 '\\n'@2:4 '\\n'@3:1 end@3:1", "2:4"},
		{"folded trailing blanks", "k: >-\n  a \n  b\n", "'a'@2:3 ' '@2:4 ' '@2:5 'b'@3:3 end@3:4", "3:4"},
		{"folded CR LF", "k: >-\r\n  a\r\n\r\n  b\r\n", "'a'@2:3 '\\n'@3:1 'b'@4:3 end@4:4", "4:4"},

		{"JSON", "{\"k\": \"a\\n\\ud83d\\ude00b\"}", "'a'@1:8 '\\n'@1:9 '😀'@1:11 'b'@1:23 end@1:24", "1:25"},
		{"JSON lone surrogate", `{"k": "\ud83dx"}`, "'\ufffd'@1:8 'x'@1:14 end@1:15", "1:16"},
		{"JSON slash", `["\/", "\\"]`, "'\\\\'@1:9 end@1:11", "1:12"},
		{"JSON number", "{\"k\":\n 12 }", "'1'@2:2 '2'@2:3 end@2:4", "2:4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := lastScalar(load(t, tt.src))
			assert.False(t, n.inexact)
			assert.Equal(t, tt.want, places(n), "text %q", n.Text)
			end := n.End()
			assert.Equal(t, tt.end, fmt.Sprintf("%d:%d", end.Line, end.Column), "End")
			assert.Equal(t, n.PosAt(0), n.PosAt(-1))
			assert.Equal(t, n.PosAt(len(n.Text)), n.PosAt(len(n.Text)+9))
		})
	}
}

func lastScalar(n *Node) *Node {
	for n.Kind != Scalar {
		if n.Kind == Mapping {
			n = n.Entries[len(n.Entries)-1].Value
		} else {
			n = n.Items[len(n.Items)-1]
		}
	}
	return n
}

func TestPosAtInsideACharacter(t *testing.T) {
	n := load(t, `k: "é日"`).Get("k")
	for offset, column := range []int{5, 5, 6, 6, 6, 7} {
		assert.Equal(t, column, n.PosAt(offset).Column, "offset %d", offset)
	}
}

func TestNodePlaces(t *testing.T) {
	root := load(t, "a: {b: [1, 'x'], c: {}}  # c\nd:\n  - e\n  - f: g\n    h: |\n      i\nj: [ # c ]\n  k: l, ]\n")
	at := func(n *Node) string {
		p, q := n.Pos(), n.End()
		return fmt.Sprintf("%d:%d-%d:%d %s", p.Line, p.Column, q.Line, q.Column, n.Path())
	}
	a, d, j := root.Get("a"), root.Get("d"), root.Get("j")
	assert.Equal(t, "1:1-8:10 ", at(root))
	assert.Equal(t, "1:4-1:24 a", at(a))
	assert.Equal(t, "1:8-1:16 a.b", at(a.Get("b")))
	assert.Equal(t, "1:12-1:15 a.b[1]", at(a.Get("b").Items[1]))
	assert.Equal(t, "1:21-1:23 a.c", at(a.Get("c")))
	assert.Equal(t, "3:3-6:8 d", at(d))
	assert.Equal(t, "4:5-6:8 d[1]", at(d.Items[1]))
	assert.Equal(t, "5:5-5:6 d[1].h", at(d.Items[1].Entry("h").Key))
	assert.Equal(t, "7:4-8:10 j", at(j))
	assert.Equal(t, "8:3-8:7 j[0]", at(j.Items[0]))
	assert.Nil(t, root.Get("zz"))
	assert.Nil(t, root.Get("zz").Get("y"))
	assert.True(t, root.Get("zz").IsNull())
}

func TestDiagAtCoversTheSource(t *testing.T) {
	tests := []struct{ src, part, want string }{
		{"k: \"é \\u0022${verb(playd)}\\n\"", "playd", "f.yaml:1:20: k: x\n  1 | k: \"é \\u0022${verb(playd)}\\n\"\n    |                    ^~~~~"},
		{"k: \"a\\n\\tb\"", "\n\t", "f.yaml:1:6: k: x\n  1 | k: \"a\\n\\tb\"\n    |      ^~~~"},
		{"k: >\n  one\n  two\n", "e", "f.yaml:2:5: k: x\n  2 |   one\n    |     ^"},
		{"k: >\n  one\n  two\n", "ne t", "f.yaml:2:4: k: x\n  2 |   one\n    |    ^~"},
		{"日本: ${日本}", "日本", "f.yaml:1:7: 日本: x\n  1 | 日本: ${日本}\n    |         ^~~~"},
		{"k: |\n  a\tb\n", "b", "f.yaml:2:5: k: x\n  2 |   a\tb\n    |    \t^"},
		{"k: ab", "a", "f.yaml:1:4: k: x\n  1 | k: ab\n    |    ^"},
	}
	for _, tt := range tests {
		root := load(t, tt.src)
		n := root.Entries[0].Value
		i := strings.Index(n.Text, tt.part)
		require.GreaterOrEqual(t, i, 0)
		assert.Equal(t, tt.want, n.DiagAt(i, i+len(tt.part), 0, "c", "", "x").Render())
	}
	n := load(t, "k: \"ab\"").Get("k")
	assert.Equal(t, "f.yaml:1:6: where: at nothing\n  1 | k: \"ab\"\n    |      ^", n.DiagAt(1, 1, 0, "c", "where", "at %s", "nothing").Render())
	assert.Equal(t, "f.yaml:1:4: k: whole\n  1 | k: \"ab\"\n    |    ^~~~", n.Diag(0, "c", "", "whole").Render())
	cause := fmt.Errorf("cause")
	assert.ErrorIs(t, n.Diag(0, "c", "", "seen: %w", cause), cause)
	assert.Equal(t, "f.yaml:1:4: k: seen: cause", n.Diag(0, "c", "", "seen: %w", cause).Error())
}

func TestPlaceOfAValueThatIsNotWritten(t *testing.T) {
	root := load(t, "a: !!str\nb:\nc: {d: , e: !!null , f: }\ng:\n  - \n  - !!str # note\n\nh: x\n")
	at := func(n *Node) string {
		p, q := n.Pos(), n.PosAt(0)
		assert.Equal(t, p, q)
		assert.Equal(t, p, n.End())
		return fmt.Sprintf("%d:%d", p.Line, p.Column)
	}
	assert.Equal(t, "1:9", at(root.Get("a")))
	assert.Equal(t, "2:3", at(root.Get("b")))
	assert.Equal(t, "3:7", at(root.Get("c").Get("d")))
	assert.Equal(t, "3:19", at(root.Get("c").Get("e")))
	assert.Equal(t, "3:24", at(root.Get("c").Get("f")))
	assert.Equal(t, "5:4", at(root.Get("g").Items[0]))
	assert.Equal(t, "6:10", at(root.Get("g").Items[1]))
}
