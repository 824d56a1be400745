package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
)

func TestParse(t *testing.T) {
	tests := []struct{ name, line, wantName, wantJSON string }{
		{"emitted", `{"name":"play_video","data":{"id":"x"}}`, "play_video", `{"name":"play_video","data":{"id":"x"}}`},
		{"emitted, neither data nor event", `{"name":"a","context":{}}`, "a", `{"name":"a","context":{}}`},
		{"emitted keeps time as it is", `{"name":"a","data":null,"time":"t"}`, "a", `{"name":"a","data":null,"time":"t"}`},
		{"emitted wins over event", `{"name":"a","data":1,"event":{"b":2}}`, "a", `{"name":"a","data":1,"event":{"b":2}}`},
		{"white space, mark and line end", "\ufeff \t{ \"name\" : \"a\" } \r\n", "a", `{ "name" : "a" }`},
		{"syslog prefix", `Nov 22 09:53:00 lms [tracking] - {"name":"a","data":1}`, "a", `{"name":"a","data":1}`},
		{"prefix that opens a list", `[info] {"name":"a"}`, "a", `{"name":"a"}`},
		{"prefix after a mark", "\ufeff<5>{\"name\":\"a\"}", "a", `{"name":"a"}`},
		{"numbers stay", `{"name":"a","data":{"n":12345678901234567890.10e+2,"z":-0}}`, "a", `{"name":"a","data":{"n":12345678901234567890.10e+2,"z":-0}}`},
		{"line breaks between tokens", "{\"name\":\r\n\"a\"\n}", "a", "{\"name\":  \"a\" }"},
		{"escaped name", `{"name":"caf\u00e9 \ud83d\ude00 \ud800 \"\\\/\b\f\n\r\t"}`, "café 😀 \ufffd \"\\/\b\f\n\r\t", `{"name":"caf\u00e9 \ud83d\ude00 \ud800 \"\\\/\b\f\n\r\t"}`},
		{"escaped key", `{"n\u0061me":"a"}`, "a", `{"n\u0061me":"a"}`},
		{"last name wins", `{"name":"a","name":"b"}`, "b", `{"name":"a","name":"b"}`},
		{"nested names do not count", `{"name":"a","context":{"name":"b","data":1},"l":[{"event":1}]}`, "a", `{"name":"a","context":{"name":"b","data":1},"l":[{"event":1}]}`},

		{"log line, object", `{"event_type":"x","name":"a","event":{"id":1.0},"time":"T"}`, "a",
			`{"event_type":"x","name":"a","event":{"id":1.0},"time":"T","data":{"id":1.0},"timestamp":"T"}`},
		{"log line, text with an object", `{"name":"a","event":" {\"id\": \"caf\u00e9\", \"n\":1.50}\n","time":"T"}`, "a",
			`{"name":"a","event":" {\"id\": \"caf\u00e9\", \"n\":1.50}\n","time":"T","data":{"id": "café", "n":1.50},"timestamp":"T"}`},
		{"log line, text with an object over lines", `{"name":"a","event":"{\n\"id\":\r\n1}"}`, "a", `{"name":"a","event":"{\n\"id\":\r\n1}","data":{ "id":  1}}`},
		{"log line, text with a list", `{"name":"a","event":"[1]"}`, "a", `{"name":"a","event":"[1]","data":[1]}`},
		{"log line, text with a number", `{"name":"a","event":"1"}`, "a", `{"name":"a","event":"1","data":1}`},
		{"log line, text with a text", `{"name":"a","event":"\"input_1=2\\u0026\""}`, "a", `{"name":"a","event":"\"input_1=2\\u0026\"","data":"input_1=2\u0026"}`},
		{"log line, text with null", `{"name":"a","event":"null"}`, "a", `{"name":"a","event":"null","data":null}`},
		{"log line, white space", `{"name":"a","event":" "}`, "a", `{"name":"a","event":" ","data":" "}`},
		{"log line, plain text", `{"name":"a","event":"input_1=2&{"}`, "a", `{"name":"a","event":"input_1=2&{","data":"input_1=2&{"}`},
		{"log line, braces that are no object", `{"name":"a","event":"{not json}"}`, "a", `{"name":"a","event":"{not json}","data":"{not json}"}`},
		{"log line, object and more", `{"name":"a","event":"{} {}"}`, "a", `{"name":"a","event":"{} {}","data":"{} {}"}`},
		{"log line, empty text", `{"name":"a","event":""}`, "a", `{"name":"a","event":"","data":""}`},
		{"log line, null", `{"name":"a","event":null}`, "a", `{"name":"a","event":null,"data":null}`},
		{"log line, list", `{"name":"a","event":[1, 2]}`, "a", `{"name":"a","event":[1, 2],"data":[1, 2]}`},
		{"log line, last event wins", `{"name":"a","event":{"a":1},"event":"x"}`, "a", `{"name":"a","event":{"a":1},"event":"x","data":"x"}`},
		{"log line keeps its timestamp", `{"name":"a","event":1,"time":"T","timestamp":"S"}`, "a", `{"name":"a","event":1,"time":"T","timestamp":"S","data":1}`},
		{"log line, null timestamp", `{"name":"a","event":1,"time":"T","timestamp":null}`, "a", `{"name":"a","event":1,"time":"T","timestamp":null,"data":1,"timestamp":"T"}`},
		{"log line, empty time", `{"name":"a","event":1,"time":""}`, "a", `{"name":"a","event":1,"time":"","data":1}`},
		{"log line named by its type", `{"event_type":"/a\/b","event":1}`, "/a/b", `{"event_type":"/a\/b","event":1,"data":1,"name":"/a\/b"}`},
		{"log line with an empty name", `{"name":"","event_type":"b","event":1}`, "b", `{"name":"","event_type":"b","event":1,"data":1,"name":"b"}`},
	}
	var p event.Parser
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := p.Parse([]byte(tt.line))
			require.NoError(t, err)
			assert.Equal(t, tt.wantName, ev.Name)
			assert.Equal(t, tt.wantJSON, string(ev.JSON))
		})
	}
}

func TestParseErrors(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, line string
		is         error
		want       string
	}{
		{"nothing", "", event.ErrEmpty, "empty line"},
		{"white space", "\ufeff \t\r\n", event.ErrEmpty, "empty line"},
		{"no brace", `play_video`, event.ErrNotObject, "event is not a json object"},
		{"a list", ` [{"name":"a"}]`, event.ErrNotObject, "event is not a json object"},
		{"a text", `"{}"`, event.ErrNotObject, "event is not a json object"},
		{"too large", `{"name":"` + strings.Repeat("a", 1000) + `"}`, event.ErrTooLarge, "event is too large: more than 1000 bytes"},
		{"too deep", `{"name":"a","data":` + deep(10) + `}`, event.ErrTooDeep, "event is nested too deep: more than 10 levels"},
		{"never closed, too deep", `{"a":` + strings.Repeat(`[`, 900), event.ErrTooDeep, "event is nested too deep: more than 10 levels"},
		{"too deep within the text", `{"name":"a","event":"{\"a\":` + deep(9) + `}"}`, event.ErrTooDeep, "event is nested too deep: more than 10 levels, with the json in the text of `event`"},
		{"no name", `{"data":{"name":"a"}}`, event.ErrNoName, "event has no name"},
		{"empty name", `{"name":""}`, event.ErrNoName, "event has no name"},
		{"name that is no text", `{"name":1,"data":1}`, event.ErrNoName, "event has no name"},
		{"last name is null", `{"name":"a","name":null}`, event.ErrNoName, "event has no name"},
		{"type of an emitted event", `{"event_type":"a","data":1}`, event.ErrNoName, "event has no name"},
		{"utf-8 in a text", "{\"name\":\"a\xff\"}", event.ErrInvalidUTF8, "event is not valid utf-8 at byte 11"},
		{"surrogate in utf-8", "x{\"name\":\"\xed\xa0\x80\"}", event.ErrInvalidUTF8, "event is not valid utf-8 at byte 11"},
		{"not a number", `{"name":NaN}`, nil, "invalid json at byte 9: expected a value"},
		{"infinity", `{"a":-Infinity}`, nil, "invalid json at byte 7: expected a digit"},
		{"leading zero", `{"a":01}`, nil, "invalid json at byte 7: expected no digit after a leading zero"},
		{"no fraction", `{"a":1.}`, nil, "invalid json at byte 8: expected a digit after the decimal point"},
		{"no exponent", `{"a":1e+}`, nil, "invalid json at byte 9: expected a digit in the exponent"},
		{"prefix counts", `pre {"a":1e+}`, nil, "invalid json at byte 13: expected a digit in the exponent"},
		{"cut off", `{"name":"a`, nil, "invalid json at byte 11: expected the closing quote of a text"},
		{"cut off in an escape", `{"name":"a\`, nil, "invalid json at byte 11: expected a valid escape in a text"},
		{"bad escape", `{"name":"\x"}`, nil, "invalid json at byte 10: expected a valid escape in a text"},
		{"bad unicode escape", `{"name":"\u12g4"}`, nil, "invalid json at byte 10: expected a valid escape in a text"},
		{"control character", "{\"name\":\"abcdefghijk\x01\"}", nil, "invalid json at byte 21: expected no control character in a text"},
		{"raw tab", "{\"name\":\"\t\"}", nil, "invalid json at byte 10: expected no control character in a text"},
		{"two objects", `{"name":"a"} {}`, nil, "invalid json at byte 13: expected the end of the line after the object"},
		{"comma at the end", `{"name":"a",}`, nil, "invalid json at byte 13: expected a key in double quotes"},
		{"comma at the end of a list", `{"a":[1,]}`, nil, "invalid json at byte 9: expected a value"},
		{"wrong bracket", `{"a":[1}`, nil, "invalid json at byte 8: expected a comma or the end of the object or list"},
		{"wrong bracket at once", `{"a":[}`, nil, "invalid json at byte 7: expected a value"},
		{"no colon", `{"a" 1}`, nil, "invalid json at byte 6: expected a colon after the key"},
		{"no value", `{"a":}`, nil, "invalid json at byte 6: expected a value"},
		{"python literal", `{'a': None}`, nil, "invalid json at byte 2: expected a key in double quotes"},
		{"half a word", `{"a":tru}`, nil, "invalid json at byte 6: expected a value"},
	}
	p := event.NewParser(event.Limits{MaxBytes: 1000, MaxDepth: 10})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := p.Parse([]byte(tt.line))
			require.EqualError(t, err, tt.want)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
				return
			}
			var syntax *event.SyntaxError
			require.ErrorAs(t, err, &syntax)
		})
	}
	ev, err := p.Parse([]byte(`{"name":"a","event":"{\"a\":` + deep(8) + `}"}`))
	require.NoError(t, err, "exactly as deep as allowed")
	assert.Equal(t, "a", ev.Name)
}

func TestParseAllocates(t *testing.T) {
	emitted := []byte(`{"name":"play_video","timestamp":"T","context":{"a":[1,2,{"b":"caf\u00e9"}]},"data":{"id":"é"}}`)
	log := []byte(`{"event_type":"play_video","time":"T","event":"{\"id\": \"x\"}"}`)
	p := event.NewParser(event.Limits{})
	for _, line := range [][]byte{emitted, log} {
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := p.Parse(line); err != nil {
				t.Fatal(err)
			}
		})
		assert.Zero(t, allocs)
	}
}

func TestParseManyNames(t *testing.T) {
	p := event.NewParser(event.Limits{})
	for i := range 10_000 {
		name := strings.Repeat("n", i%300+1)
		ev, err := p.Parse([]byte(`{"name":"` + name + `"}`))
		require.NoError(t, err)
		require.Equal(t, name, ev.Name)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","data":{"id":[1,-2.5e3,true,false,null,"\u00e9\ud83d\ude00"]}}`,
		`Nov 1 host {"event_type":"a","time":"T","event":"{\"id\": \"x\"}","name":null}`,
		"\ufeff{\"name\":\"a\",\r\n\"event\":{}}\n",
		`[{"name":"a"}]`, `{"name":"a","name":1}`, `{"event":"{","event_type":"x"}`, "{\"name\":\"\xed\xa0\x80\"}", `{"a":01}`,
	} {
		f.Add([]byte(s))
	}
	p := event.NewParser(event.Limits{MaxBytes: 1 << 16, MaxDepth: 64})
	again := event.NewParser(event.Limits{MaxBytes: 1 << 20, MaxDepth: 64})
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		ev, err := p.Parse(line)
		require.Equal(t, before, line, "the line is only read")
		if err != nil {
			// What begins as an object, is JSON and UTF-8, and has a name, is never refused.
			if bytes.HasPrefix(line, []byte("{")) && json.Valid(line) && utf8.Valid(line) {
				require.True(t, strings.Contains(err.Error(), "name") || strings.Contains(err.Error(), "deep"), err.Error())
			}
			return
		}
		require.True(t, json.Valid(ev.JSON), "%s", ev.JSON)
		require.True(t, utf8.Valid(ev.JSON))
		require.NotContains(t, string(ev.JSON), "\n")
		require.True(t, gjson.ParseBytes(ev.JSON).IsObject())
		var decoded map[string]any
		require.NoError(t, json.Unmarshal(ev.JSON, &decoded))
		require.Equal(t, decoded["name"], ev.Name)

		twice, err := again.Parse(ev.JSON)
		require.NoError(t, err)
		require.Equal(t, ev.Name, twice.Name)
		require.Equal(t, string(ev.JSON), string(twice.JSON), "idempotent")
	})
}
