package yamldoc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/diag"
)

// TestParseFaults compares the whole rendered message of every kind of fault.
func TestParseFaults(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "faults.txt"))
	if err != nil && !*update {
		require.NoError(t, err)
	}
	sources := []struct{ name, src string }{
		{"empty", ""},
		{"only comments", "# nothing\n\n"},
		{"only a document marker", "---\n"},
		{"second document", "a: 1\n---\nb: 2\n"},
		{"second document at once", "a: 1\n---\n"},
		{"content behind the document end", "a: 1\n...\nb: 2\n"},
		{"syntax in the second document", "a: x\n---\nb: [\n"},
		{"duplicate keys", "a: 1\nb: {c: 1, c: 2}\na: 2\n\"a\": 3\n"},
		{"duplicate key in JSON", "{\"a\": 1,\n \"a\": 2}"},
		{"number as key", "a:\n  1: x\n"},
		{"boolean as key", "true: x\n"},
		{"null as key", "~: x\n"},
		{"no key", ": x\n"},
		{"sequence as key", "? [a, b]\n: x\n"},
		{"mapping as key", "{a: b}: x\n"},
		{"merge key", "a: {b: 1}\n<<: {c: 2}\n"},
		{"anchor and alias", "a: &x {b: 1}\nc: *x\nd: [*x]\n"},
		{"anchor on a key", "&k a: &v b\n"},
		{"unknown alias", "a: [1, *nobody]\n"},
		{"laughing", "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"},
		{"unknown tag", "a: !ruby/object x\nb: !!binary aGk=\nc: !!timestamp 2020-01-01\n"},
		{"tag that does not fit", "a: !!int abc\nb: !!map [1]\nc: !!int \"3\"\nd: !!bool yes\n"},
		{"not finite", "a: [.inf, -.Inf, .nan, 1e999]\n"},
		{"not UTF-8", "a: b\nk: é\xc3(\n"},
		{"UTF-16", "\xff\xfea\x00:\x00"},
		{"control character", "a: \"b\x1b[31m\"\nc: \x7f\n"},
		{"null byte", "a: b\x00\n"},
		{"byte order mark inside", "a: x\n\ufeffb: y\n"},
		{"exotic line breaks", "a: x\u2028y\u2029z\u0085\nb: 1\r"},
		{"tab as indentation", "a:\n\tb: c\n"},
		{"tab behind a value", "a: b\n\tc: d\n"},
		{"tab in a block", "a: |\n\tb\n"},
		{"colon in a value", "a: b: c\n"},
		{"colon in an expression", "verb: x\nname: ${a ? {'b': 1} : 2}\n"},
		{"no space behind the colon", "foo:1\nbar: 2\n"},
		{"no colon", "foo: 1\nbar\nbaz: 2\n"},
		{"wrong indentation", "a:\n  b: 1\n c: 2\n"},
		{"wrong indentation in a sequence", "k: v\nz:\n  - a\n  b: c\n"},
		{"open single quote", "a: 1\nb: 'x\nc: d\n"},
		{"open double quote", "a: \"x\n"},
		{"apostrophe in single quotes", "a: 'it's'\n"},
		{"text behind a quote", "日本: \"x\" y\n"},
		{"unknown escape", "a: \"\\d+\"\n"},
		{"half a surrogate pair", "a: \"x\\ud83d\\ude00\"\n"},
		{"bad hexadecimal", "a: \"\\xzz\"\n"},
		{"open bracket", "q: 1\nx: [1, 2\ny: 2\n"},
		{"open brace", "q: {a: 1\n"},
		{"closed too often", "a: }\n"},
		{"comma missing in JSON", "{\"a\": 1 \"b\": 2}\n"},
		{"reserved characters", "a: @x\n"},
		{"percent", "a: %x\n"},
		{"directive", "%YAML 1.2\n---\na: b\n"},
		{"bad block header", "a: |x\n  b\n"},
		{"very long line", "a: \"" + strings.Repeat("日本語 ", 60) + "\\q" + strings.Repeat(" tail", 60) + "\"\n"},
	}
	var b strings.Builder
	for _, s := range sources {
		_, faults := Parse("f.yaml", []byte(s.src))
		assert.True(t, faults.HasErrors(), s.name)
		b.WriteString("== " + s.name + "\n" + faults.Render() + "\n\n")
	}
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(filepath.Join("testdata", "faults.txt"), []byte(b.String()), 0o644))
		return
	}
	assert.Equal(t, string(golden), b.String())
}

func TestParseKeepsGoing(t *testing.T) {
	f, faults := Parse("f.yaml", []byte("a: &x 1\nb: *x\na: 2\n1: z\n"))
	require.Len(t, faults, 4)
	require.NotNil(t, f)
	assert.Equal(t, `{"a":1,"b":null,"1":"z"}`, string(f.Root.AppendJSON(nil)))
	assert.ElementsMatch(t, []string{CodeAnchor, CodeAlias, CodeDuplicate, CodeKey},
		[]string{faults[0].Code, faults[1].Code, faults[2].Code, faults[3].Code})
}

func TestParseLimits(t *testing.T) {
	one := func(src string) string {
		_, faults := Parse("f.yaml", []byte(src))
		if len(faults) == 0 {
			return ""
		}
		require.Len(t, faults, 1)
		return faults[0].Error()
	}
	assert.Empty(t, one("a: "+strings.Repeat("x", MaxBytes-3)))
	assert.Equal(t, "f.yaml:1:1: file has 1048577 bytes, more than the 1048576 allowed (split it into several files)",
		one("a: "+strings.Repeat("x", MaxBytes-2)))
	for _, open := range []string{"[", "{\"a\":"} {
		closing := map[string]string{"[": "]", "{\"a\":": "}"}[open]
		assert.Empty(t, one(strings.Repeat(open, 63)+"1"+strings.Repeat(closing, 63)))
		assert.Contains(t, one(strings.Repeat(open, 64)+"1"+strings.Repeat(closing, 64)), "document nests more than 64 deep")
		assert.Contains(t, one(strings.Repeat(open, 5000)+"1"+strings.Repeat(closing, 5000)), "document nests more than 64 deep")
		assert.Contains(t, one("# yaml\n"+strings.Repeat(open, 5000)+" 1"+strings.Repeat(closing, 5000)), "document nests more than 64 deep")
		assert.NotEmpty(t, one("# yaml\n"+strings.Repeat(open, 20000)))
	}
	_, faults := Parse("f.yaml", []byte(strings.Repeat("a: 1\n", 1000)))
	require.Len(t, faults, MaxFaults)
	assert.Equal(t, CodeTooMany, faults[MaxFaults-1].Code)
	assert.Equal(t, MaxFaults+1, faults[MaxFaults-1].Pos.Line)
}

// TestParseLargeFiles reads files of an eighth of the greatest size, of which some would take a minute if some step cost the
// square.
func TestParseLargeFiles(t *testing.T) {
	fill := func(before, part, after string) string {
		return before + strings.Repeat(part, (MaxBytes/8-len(before)-len(after))/len(part)) + after
	}
	for name, src := range map[string]string{
		"flow in one line":      fill("[", "a,", "]"),
		"mappings in one line":  fill("[", "{日: 'x'}, ", "]"),
		"null values":           fill("[", "{a: }, ", "]"),
		"JSON in one line":      fill("[", `{"a":"\n"},`, "1]"),
		"duplicates":            fill("{", "a: 1, ", "}"),
		"duplicates in JSON":    fill("{", `"a":1,`, `"b":2}`),
		"odd keys":              fill("{", "1: 1, ", "}"),
		"anchors":               fill("[", "&a x,", "]"),
		"empty anchors":         fill("[", "&a,", "]"),
		"tags":                  fill("[", "!!str a,", "]"),
		"unknown tags":          fill("[", "!x a,", "]"),
		"lines":                 fill("", "- \n", ""),
		"comments":              fill("a: 1\n", "# c\n", ""),
		"open quote":            fill(`a: "`, "x ", ""),
		"open bracket":          fill("a: [", "x, ", "y"),
		"fault at the end":      fill("", "- b\n", "- @\n"),
		"blank lines in quotes": fill("a: '", "\n", "'"),
		"blank lines in blocks": fill("a: |2\n", "   \n", ""),
	} {
		f, faults := Parse("f.yaml", []byte(src))
		assert.LessOrEqual(t, len(faults), MaxFaults, name)
		if f != nil {
			assert.True(t, json.Valid(f.Root.AppendJSON(nil)), name)
			assert.LessOrEqual(t, len(Decode(f.Root, &struct {
				B string `yaml:"b"`
			}{})), MaxFaults, name)
		}
	}
	var unknown strings.Builder
	unknown.WriteString("{")
	for i := 0; unknown.Len() < MaxBytes/8; i++ {
		unknown.WriteString("k" + strings.Repeat("k", i%7) + strconv.Itoa(i) + ": 1, ")
	}
	unknown.WriteString("}")
	faults := Decode(load(t, unknown.String()), &settings{})
	require.Len(t, faults, MaxFaults)
	assert.Equal(t, CodeTooMany, faults[MaxFaults-1].Code)
}

func TestResolve(t *testing.T) {
	tests := []struct {
		src, json string
		tag       Tag
		value     any
	}{
		{"", "null", Null, nil}, {"~", "null", Null, nil}, {"null", "null", Null, nil}, {"Null", "null", Null, nil},
		{"nULL", `"nULL"`, String, "nULL"}, {"'null'", `"null"`, String, "null"}, {"! null", `"null"`, String, "null"},
		{"true", "true", Bool, true}, {"True", "true", Bool, true}, {"FALSE", "false", Bool, false},
		{"tRue", `"tRue"`, String, "tRue"}, {"!!bool true", "true", Bool, true}, {"!!null ''", "", 0, nil},
		{"yes", `"yes"`, String, "yes"}, {"no", `"no"`, String, "no"}, {"on", `"on"`, String, "on"}, {"y", `"y"`, String, "y"},
		{"12", "12", Int, int64(12)}, {"+12", "12", Int, int64(12)}, {"-12", "-12", Int, int64(-12)}, {"-0", "-0", Int, int64(0)},
		{"012", "12", Int, int64(12)}, {"000", "0", Int, int64(0)}, {"-007", "-7", Int, int64(-7)},
		{"0o17", "15", Int, int64(15)}, {"0x1F", "31", Int, int64(31)}, {"0X1F", `"0X1F"`, String, "0X1F"}, {"-0x1", `"-0x1"`, String, "-0x1"},
		{"0o8", `"0o8"`, String, "0o8"}, {"0b1", `"0b1"`, String, "0b1"}, {"1_000", `"1_000"`, String, "1_000"}, {"0x", `"0x"`, String, "0x"},
		{"9223372036854775807", "9223372036854775807", Int, int64(9223372036854775807)},
		{"123456789012345678901234567890", "123456789012345678901234567890", Int, json.Number("123456789012345678901234567890")},
		{"0xffffffffffffffffff", "4722366482869645213695", Int, json.Number("4722366482869645213695")},
		{"!!str 12", `"12"`, String, "12"}, {"!!int 12", "12", Int, int64(12)}, {"!!float 12", "12", Float, 12.0}, {"\"12\"", `"12"`, String, "12"},
		{"1.5", "1.5", Float, 1.5}, {"1.50", "1.50", Float, 1.5}, {".5", "0.5", Float, 0.5}, {"-.5", "-0.5", Float, -0.5}, {"5.", "5.0", Float, 5.0},
		{"1.e3", "1.0e3", Float, 1000.0}, {"1e3", "1e3", Float, 1000.0}, {"+1.5E-3", "1.5E-3", Float, 0.0015}, {"00.5", "0.5", Float, 0.5},
		{"1e-999", "1e-999", Float, 0.0}, {"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827", Float, 0.1},
		{"1e", `"1e"`, String, "1e"}, {"e3", `"e3"`, String, "e3"}, {".", `"."`, String, "."}, {"+", `"+"`, String, "+"}, {"--1", `"--1"`, String, "--1"}, {"+-1", `"+-1"`, String, "+-1"},
		{".e3", `".e3"`, String, ".e3"}, {"1.2.3", `"1.2.3"`, String, "1.2.3"}, {"1:30", `"1:30"`, String, "1:30"}, {"'.inf'", `".inf"`, String, ".inf"},
		{"2020-01-01", `"2020-01-01"`, String, "2020-01-01"}, {"2020-01-01T00:00:00Z", `"2020-01-01T00:00:00Z"`, String, "2020-01-01T00:00:00Z"},
		{"<<", `"<<"`, String, "<<"}, {"=", `"="`, String, "="}, {"${a}", `"${a}"`, String, "${a}"},
		{`"a\"\\\n\r\t\x01\u2028é"`, `"a\"\\\n\r\t\u0001` + "\u2028é\"", String, "a\"\\\n\r\t\x01\u2028é"},
	}
	for _, tt := range tests {
		if tt.json == "" {
			_, faults := Parse("f", []byte("k: "+tt.src))
			assert.True(t, faults.HasErrors(), tt.src)
			continue
		}
		n := load(t, "k: "+tt.src+"\n").Get("k")
		assert.Equal(t, tt.tag, n.Tag, tt.src)
		assert.Equal(t, tt.value, n.Interface(), tt.src)
		assert.Equal(t, tt.json, string(n.AppendJSON(nil)), tt.src)
		assert.True(t, json.Valid(n.AppendJSON(nil)), tt.src)
	}
}

func TestAppendJSONKeepsTheOrder(t *testing.T) {
	n := load(t, "z: 1\na: [x, {}, [], ~, 'é']\nm: {b: true, a: 1.50}\n")
	assert.Equal(t, `p{"z":1,"a":["x",{},[],null,"é"],"m":{"b":true,"a":1.50}}`, string(n.AppendJSON([]byte("p"))))
	assert.Equal(t, map[string]any{"z": int64(1), "a": []any{"x", map[string]any{}, []any{}, nil, "é"}, "m": map[string]any{"b": true, "a": 1.5}}, n.Interface())
	var none *Node
	assert.Nil(t, none.Interface())
	assert.Equal(t, "null", string(none.AppendJSON(nil)))
}

func TestJSONIsYAML(t *testing.T) {
	src := " \ufeff"[1:] + "{\r\n\t\"a\": [1, -2.5e3, true, false, null, \"x\\u00e9\\/\\ud83d\\ude00\\b\"],\r\n\t\"b\":{},\"<<\":\"merge\",\"1\":[]}\n"
	n := load(t, src)
	assert.JSONEq(t, strings.TrimPrefix(src, "\ufeff"), string(n.AppendJSON(nil)))
	assert.Equal(t, diag.Position{File: "f.yaml", Line: 2, Column: 8}, n.Get("a").Items[0].Pos())
	assert.Equal(t, Sequence, load(t, "[1, 2]").Kind)
	assert.Equal(t, "1,", load(t, "{\"a\": [\"1,\"],}").Get("a").Items[0].Text, "a trailing comma is YAML")
}

func TestStrings(t *testing.T) {
	assert.Equal(t, "mapping sequence scalar kind(9)", strings.Join([]string{Mapping.String(), Sequence.String(), Scalar.String(), Kind(9).String()}, " "))
	assert.Equal(t, "string integer number boolean null tag(9)", strings.Join([]string{
		String.String(), Int.String(), Float.String(), Bool.String(), Null.String(), Tag(9).String()}, " "))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a: b\n", "{\"a\": [1, \"\\ud83d\"]}", "- |2+\n   a\n\n- >-\n b\n", "&a b: *a", "? [x]\n: !!str\n", "a: 'b\n\n c'\r\n",
		"k: ! {a: b}\n", "!!map\n&a k: !t\n", "\ufeff---\n# c\na: \"\\\n b\"\n...\n", "[a: b, {c}, , ]", "a:\n\t- b", "%TAG ! x:\n--- !y\nz"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 64<<10 {
			return
		}
		file, faults := Parse("f.yaml", src)
		if file == nil {
			require.True(t, faults.HasErrors())
		}
		lines := strings.Count(string(src), "\n") + 1
		for _, d := range faults {
			for _, p := range []diag.Position{d.Pos, d.End} {
				require.LessOrEqual(t, p.Line, lines)
				require.LessOrEqual(t, p.Column, len(src)+1)
			}
			require.Positive(t, d.Pos.Line)
			require.Positive(t, d.Pos.Column)
			require.NotContains(t, d.Error(), "\n")
			_ = d.Render()
		}
		if file == nil {
			return
		}
		root := file.Root
		out := root.AppendJSON(nil)
		require.True(t, json.Valid(out), "%q gives %q", src, out)
		_ = root.Interface()
		walk(root, func(n *Node) {
			require.LessOrEqual(t, n.Pos().Compare(n.End()), 0)
			require.GreaterOrEqual(t, n.start, 0)
			require.LessOrEqual(t, n.end, len(file.Source))
			if n.Kind == Scalar {
				require.False(t, n.inexact, "%q", src)
				if faults.HasErrors() {
					_ = n.PosAt(1)
				} else if len(src) < 512 {
					checkPlaces(t, n)
				}
			}
		})
	})
}

func walk(n *Node, visit func(*Node)) {
	visit(n)
	for _, e := range n.Entries {
		walk(e.Key, visit)
		walk(e.Value, visit)
	}
	for _, item := range n.Items {
		walk(item, visit)
	}
}
