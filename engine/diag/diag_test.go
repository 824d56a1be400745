package diag

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errCause = errors.New("cause")

func TestPositionString(t *testing.T) {
	assert.Equal(t, "f:2:3", Position{"f", 2, 3}.String())
	assert.Equal(t, "f:2", Position{"f", 2, 0}.String())
	assert.Equal(t, "2:3", Position{"", 2, 3}.String())
	assert.Equal(t, "f", Position{"f", 0, 3}.String())
	assert.Equal(t, "-", Position{}.String())
	assert.False(t, Position{File: "f"}.IsValid())
}

func TestError(t *testing.T) {
	tests := []struct {
		d    Diagnostic
		want string
	}{
		{Diagnostic{Pos: Position{"f", 1, 2}, Path: "a.b", Message: "bad", Hint: "fix it"}, "f:1:2: a.b: bad (fix it)"},
		{Diagnostic{Pos: Position{"f", 1, 2}, Severity: Warning, Message: "odd"}, "f:1:2: warning: odd"},
		{Diagnostic{Severity: Info, Path: "p", Message: "so"}, "info: p: so"},
		{Diagnostic{Pos: Position{File: "f"}, Err: errCause}, "f: cause"},
		{Diagnostic{Message: "a\n  b\x1b\u202e"}, "a   b\ufffd\ufffd"},
		{Diagnostic{Code: "c"}, "c"},
		{Diagnostic{}, "unspecified fault"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, tt.d.Error())
	}
}

func TestRender(t *testing.T) {
	at := func(line string, col, end int) *Diagnostic {
		d := &Diagnostic{Pos: Position{"f", 12, col}, Message: "m", Line: line}
		if end > 0 {
			d.End = Position{"f", 12, end}
		}
		return d
	}
	tests := []struct {
		name string
		d    *Diagnostic
		want string
	}{
		{"one character", at("ab c", 2, 0), "  12 | ab c\n     |  ^"},
		{"range", at("ab c", 1, 3), "  12 | ab c\n     | ^~"},
		{"behind the end", at("ab", 3, 0), "  12 | ab\n     |   ^"},
		{"far behind the end", at("ab", 9, 12), "  12 | ab\n     |   ^"},
		{"range beyond the end", at("abc", 2, 99), "  12 | abc\n     |  ^~"},
		{"backwards", at("abc", 3, 1), "  12 | abc\n     |   ^"},
		{"tabs before", at("\ta\tb", 4, 5), "  12 | \ta\tb\n     | \t \t^"},
		{"tab within", at("a\tbc", 1, 5), "  12 | a\tbc\n     | ^\t~~"},
		{"tab first", at("a\tbc", 2, 5), "  12 | a\tbc\n     |  ^\t~~"},
		{"tab alone", at("\ta", 1, 0), "  12 | \ta\n     | ^"},
		{"wide", at("日本x語", 3, 5), "  12 | 日本x語\n     |     ^~~"},
		{"wide caret", at("日本", 2, 0), "  12 | 日本\n     |   ^~"},
		{"emoji", at("😀x", 2, 0), "  12 | 😀x\n     |   ^"},
		{"combining", at("e\u0301x", 3, 0), "  12 | e\u0301x\n     |  ^"},
		{"narrow non-ASCII", at("é ö", 3, 0), "  12 | é ö\n     |   ^"},
		{"controls", at("\x1b[31m\u202ex", 7, 0), "  12 | \ufffd[31m\ufffdx\n     |       ^"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.d.Pos.String()+": m\n"+tt.want, tt.d.Render())
		})
	}
	over := at("abc", 2, 0)
	over.End = Position{"f", 14, 1}
	over.Hint, over.Path = "try\nthis", "p"
	assert.Equal(t, "f:12:2: p: m\n  12 | abc\n     |  ^~\n  hint: try this", over.Render())
	assert.Equal(t, "f:12: m\n  12 | abc", (&Diagnostic{Pos: Position{"f", 12, 0}, Message: "m", Line: "abc"}).Render())
	assert.Equal(t, "m", (&Diagnostic{Message: "m", Line: "x"}).Render())
}

func TestRenderLongLine(t *testing.T) {
	line := make([]rune, 500)
	for i := range line {
		line[i] = rune('a' + i%26)
	}
	for _, col := range []int{1, 59, 62, 250, 499, 500, 501} {
		d := &Diagnostic{Pos: Position{"f", 1, col}, End: Position{"f", 1, col + 3}, Line: string(line), Message: "m"}
		var head, shown, carets string
		parts := splitLines(d.Render())
		require.Len(t, parts, 3)
		head, shown, carets = parts[0], parts[1], parts[2]
		assert.Equal(t, "f:1:"+fmt.Sprint(col)+": m", head)
		i := len([]rune(carets)) - 1
		for []rune(carets)[i] != '^' {
			i--
		}
		if col <= 500 {
			assert.Equal(t, line[col-1], []rune(shown)[i], "column %d", col)
		}
		assert.LessOrEqual(t, len([]rune(shown)), maxShownRunes+8)
	}
}

func splitLines(s string) []string {
	var out []string
	for from, i := 0, 0; i <= len(s); i++ {
		if i == len(s) || s[i] == '\n' {
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return out
}

func FuzzRender(f *testing.F) {
	f.Add("a\tb日", 1, 2, 1, 5)
	f.Add("", -1, 0, 0, 9)
	f.Fuzz(func(t *testing.T, line string, l, c, el, ec int) {
		d := &Diagnostic{Pos: Position{"f", l, c}, End: Position{"f", el, ec}, Line: line, Message: line, Hint: line, Path: line}
		out := d.Render()
		assert.LessOrEqual(t, len(splitLines(out)), 4)
		assert.NotContains(t, out, "\x1b")
		assert.NotContains(t, d.Error(), "\n")
	})
}

func TestList(t *testing.T) {
	warn := &Diagnostic{Pos: Position{"b", 1, 1}, Severity: Warning, Message: "w"}
	one := &Diagnostic{Pos: Position{"a", 2, 1}, Message: "one", Err: errCause}
	two := &Diagnostic{Pos: Position{"a", 1, 9}, Message: "two"}
	whole := &Diagnostic{Pos: Position{File: "a"}, Message: "whole"}
	l := List{warn, one, two, whole}
	l.Sort()
	assert.Equal(t, List{whole, two, one, warn}, l)
	assert.True(t, l.HasErrors())
	assert.False(t, List{warn}.HasErrors())
	assert.NoError(t, List{warn}.Err())
	assert.NoError(t, List(nil).Err())
	assert.Equal(t, "", List(nil).Render())

	err := fmt.Errorf("load: %w", l.Err())
	assert.EqualError(t, err, "load: a: whole\na:1:9: two\na:2:1: one")
	assert.ErrorIs(t, err, errCause)
	var d *Diagnostic
	require.ErrorAs(t, err, &d)
	assert.Same(t, whole, d)
	assert.Equal(t, List{whole, two, one, warn}, FromError(errors.Join(err, errCause, warn)))
	assert.Nil(t, FromError(errCause))
	assert.Nil(t, FromError(nil))
	assert.Equal(t, "a: whole\n\na:1:9: two", l[:2].Render())
}

func TestSeverity(t *testing.T) {
	for _, s := range []Severity{Error, Warning, Info} {
		b, err := json.Marshal(s)
		require.NoError(t, err)
		var back Severity
		require.NoError(t, json.Unmarshal(b, &back))
		assert.Equal(t, s, back)
	}
	var s Severity
	err := s.UnmarshalText([]byte("fatal"))
	assert.ErrorIs(t, err, ErrUnknownSeverity)
	assert.EqualError(t, err, `unknown severity "fatal": use error, warning or info`)
	assert.Equal(t, "severity(9)", Severity(9).String())
}

func TestPaths(t *testing.T) {
	p := Index(Key(Key(Key("", "events"), "edx.video.played"), "$filter"), 2)
	assert.Equal(t, `events."edx.video.played".$filter[2]`, p)
	assert.Equal(t, `""`, Key("", ""))
	assert.Equal(t, "日本_a-1", Key("", "日本_a-1"))
	assert.Equal(t, "[0]", Index("", 0))
}

func TestSuggest(t *testing.T) {
	known := []string{"verb", "object", "result", "timestamp", "current_time", "played", "paused", "id", "get", "get_int"}
	tests := []struct{ word, want string }{
		{"vreb", "verb"}, {"verbs", "verb"}, {"VERB", "verb"}, {"objekt", "object"}, {"currentTime", "current_time"}, {"current.time", "current_time"},
		{"timstemp", "timestamp"}, {"timesatmp", "timestamp"}, {"playd", "played"}, {"ud", "id"}, {"gte", "get"}, {"getint", "get_int"}, {"resutl", "result"},
		{"x", ""}, {"", ""}, {"zz", ""}, {"completely", ""}, {"verb", ""}, {"o", ""}, {"___", ""},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, Suggest(tt.word, known), "%q", tt.word)
	}
	assert.Equal(t, "ab", Suggest("aa", []string{"ba", "ac", "ab"}), "ties do not depend on the order")
	assert.Equal(t, "", Suggest("word", nil))
	assert.Equal(t, `did you mean "verb"?`, DidYouMean("verv", known))
	assert.Equal(t, "", DidYouMean("q", known))
	long := make([]byte, 10000)
	assert.Equal(t, "", Suggest(string(long), []string{string(long) + "x"}))
}
