package yamldoc

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/diag"
)

type endpoint struct {
	Name    string        `yaml:"name,required"`
	URL     string        `yaml:"url"`
	Timeout time.Duration `yaml:"timeout"`
	Raw     *Node         `yaml:"raw"`
	Level   level         `yaml:"level"`
}

var errLevel = errors.New("level must be low or high")

type level int

func (l *level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "low":
		*l = 1
	case "high":
		*l = 2
	default:
		return errLevel
	}
	return nil
}

// words takes a string or a list.
type words []string

func (w *words) UnmarshalDoc(n *Node) diag.List {
	if n.Kind == Scalar {
		if n.Tag != String {
			return diag.List{n.Diag(diag.Error, CodeType, "", "expected a word or a list of words")}
		}
		*w = words{n.Text}
		return nil
	}
	return Decode(n, (*[]string)(w))
}

type common struct {
	Version int `yaml:"version"`
}

type settings struct {
	common  `yaml:",inline"`
	Debug   bool                 `yaml:"debug"`
	Size    int8                 `yaml:"size"`
	Port    uint16               `yaml:"port"`
	Rate    float32              `yaml:"rate"`
	Words   words                `yaml:"words"`
	Any     any                  `yaml:"any"`
	One     *endpoint            `yaml:"one"`
	List    []endpoint           `yaml:"list"`
	Map     map[string]*endpoint `yaml:"map"`
	Skipped string
}

func TestDecode(t *testing.T) {
	n := load(t, `
version: 3
debug: true
size: -5
port: 0x1F90
rate: 2.5
words: single
any: {a: [1, 2.5]}
one: {name: n, url: 'http://x', timeout: 1m30s, raw: [1], level: high}
list:
  - {name: a, timeout: 5}
  - {name: b, timeout: 0.25}
map:
  x: {name: y}
`)
	s := settings{Skipped: "kept"}
	require.Empty(t, Decode(n, &s).Render())
	assert.Equal(t, 3, s.Version)
	assert.True(t, s.Debug)
	assert.Equal(t, int8(-5), s.Size)
	assert.Equal(t, uint16(8080), s.Port)
	assert.Equal(t, float32(2.5), s.Rate)
	assert.Equal(t, words{"single"}, s.Words)
	assert.Equal(t, map[string]any{"a": []any{int64(1), 2.5}}, s.Any)
	assert.Equal(t, "http://x", s.One.URL)
	assert.Equal(t, 90*time.Second, s.One.Timeout)
	assert.Equal(t, level(2), s.One.Level)
	assert.Same(t, n.Get("one").Get("raw"), s.One.Raw)
	assert.Equal(t, []time.Duration{5 * time.Second, 250 * time.Millisecond}, []time.Duration{s.List[0].Timeout, s.List[1].Timeout})
	assert.Equal(t, "y", s.Map["x"].Name)
	assert.Equal(t, "kept", s.Skipped)
}

func TestDecodeKeepsDefaults(t *testing.T) {
	one := &endpoint{Name: "default", Timeout: time.Minute}
	s := settings{common: common{Version: 1}, Port: 80, One: one, List: []endpoint{{Name: "old"}}}
	require.Empty(t, Decode(load(t, "version:\nport: ~\none: {name: new}\nlist:\n"), &s).Render())
	assert.Equal(t, settings{common: common{Version: 1}, Port: 80, One: one, List: []endpoint{{Name: "old"}}}, s)
	assert.Equal(t, endpoint{Name: "new", Timeout: time.Minute}, *one)
	assert.Empty(t, Decode(load(t, "{}"), &s))
}

func TestDecodeFaults(t *testing.T) {
	tests := []struct{ src, want string }{
		{"prot: 1", `f.yaml:1:1: prot: unknown key "prot" (did you mean "port"?)`},
		{"zzzzzz: 1", `f.yaml:1:1: zzzzzz: unknown key "zzzzzz" (known keys: version, debug, size, port, rate, words, any, one, list, map)`},
		{"port: '80'", `f.yaml:1:7: port: expected an integer, found a string (remove the quotes)`},
		{"port: eighty", `f.yaml:1:7: port: expected an integer, found a string`},
		{"port: 1.5", `f.yaml:1:7: port: expected an integer, found a number`},
		{"port: 70000", `f.yaml:1:7: port: integer is negative or does not fit into 16 bits`},
		{"port: -1", `f.yaml:1:7: port: integer is negative or does not fit into 16 bits`},
		{"size: 300", `f.yaml:1:7: size: integer does not fit into 8 bits`},
		{"size: [1]", `f.yaml:1:7: size: expected an integer, found a sequence`},
		{"rate: 1e300", `f.yaml:1:7: rate: number does not fit into 32 bits`},
		{"rate: '1'", `f.yaml:1:7: rate: expected a number, found a string (remove the quotes)`},
		{"debug: yes", `f.yaml:1:8: debug: expected true or false, found a string`},
		{"words: 1", `f.yaml:1:8: words: expected a word or a list of words`},
		{"words: [a, 1]", `f.yaml:1:12: words[1]: expected a string, found an integer (put it in quotes)`},
		{"one: [x]", `f.yaml:1:6: one: expected a mapping, found a sequence`},
		{"one: {}", `f.yaml:1:6: one: key "name" is missing`},
		{"one: {name: }", `f.yaml:1:12: one.name: key "name" has no value`},
		{"one: {name: 12}", `f.yaml:1:13: one.name: expected a string, found an integer (put it in quotes)`},
		{"one: {name: {}}", `f.yaml:1:13: one.name: expected a string, found a mapping`},
		{"one: {name: a, timeout: 5 minutes}", `f.yaml:1:25: one.timeout: not a duration (write it like 30s, 5m or 1h30m, or as a number of seconds)`},
		{"one: {name: a, timeout: 1e300}", `f.yaml:1:25: one.timeout: duration is too long (write it like 30s, 5m or 1h30m, or as a number of seconds)`},
		{"one: {name: a, timeout: true}", `f.yaml:1:25: one.timeout: expected a duration, found a boolean (write it like 30s, 5m or 1h30m, or as a number of seconds)`},
		{"one: {name: a, level: mid}", `f.yaml:1:23: one.level: level must be low or high`},
		{"one: {name: a, level: 3}", `f.yaml:1:23: one.level: expected a string, found an integer (put it in quotes)`},
		{"list: {name: a}", `f.yaml:1:7: list: expected a sequence, found a mapping (write each item behind '- ')`},
		{"list:\n- name: a\n- nmae: b\n  name: b", `f.yaml:3:3: list[1].nmae: unknown key "nmae" (did you mean "name"?)`},
		{"map: [a]", `f.yaml:1:6: map: expected a mapping, found a sequence`},
		{"map:\n  a.b: {name: 1}", `f.yaml:2:15: map."a.b".name: expected a string, found an integer (put it in quotes)`},
		{"[]", `f.yaml:1:1: expected a mapping, found a sequence`},
	}
	for _, tt := range tests {
		faults := Decode(load(t, tt.src), &settings{})
		if assert.Len(t, faults, 1, tt.src) {
			assert.Equal(t, tt.want, faults[0].Error())
		}
	}
	faults := Decode(load(t, "one: {name: a, level: mid}\nport: x\n"), &settings{})
	assert.ErrorIs(t, faults.Err(), errLevel)
	assert.Len(t, faults, 2, "all faults are reported")
}

type itself *itself

func TestDecodeOddTargets(t *testing.T) {
	n := load(t, "a: [1]")
	var nothing *settings
	for _, into := range []any{
		nil, settings{}, nothing, new(chan int), new(map[int]string), new(error), new(func()), new([1]int), new(complex64), new(itself),
		&struct {
			A string `yaml:"a"`
			B string `yaml:"a"`
		}{},
		&struct {
			A string `yaml:",inline"`
		}{},
		&struct {
			A string `yaml:""`
		}{},
		&struct {
			A []chan int `yaml:"a"`
		}{},
	} {
		assert.True(t, Decode(n, into).HasErrors(), "%T", into)
	}
	assert.True(t, Decode(nil, &settings{}).HasErrors())
	// A file with faults is decoded without trouble.
	f, faults := Parse("f", []byte("a: 1\na: 2\n? [x]\n: y\n"))
	assert.Len(t, faults, 2)
	m := map[string]int{}
	assert.Empty(t, Decode(f.Root, &m))
	assert.Equal(t, map[string]int{"a": 1}, m)
	assert.False(t, strings.Contains(Decode(load(t, "secret: 1"), &struct {
		S string `yaml:"secret"`
	}{})[0].Error(), "1)"))
}
