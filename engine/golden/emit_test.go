package golden

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/yamldoc"
)

// roundTrip writes JSON as the expectation of a case and reads it back.
func roundTrip(t *testing.T, raw string) string {
	t.Helper()
	src := appendBlock([]byte("expect:\n  - "), gjson.Parse(raw), 4, false)
	doc, faults := yamldoc.Parse("case.yaml", src)
	require.Empty(t, faults.Render(), "%s", src)
	return string(doc.Root.Get("expect").Items[0].AppendJSON(nil))
}

var emitSeeds = []string{
	`{"a":1,"b":1.0,"c":-0.5,"d":1e+16,"e":true,"f":null,"g":"text"}`,
	`{"description":{"en-US":"What? Why: \"because\" #1, [x] {y} | > & * ! % @ '"}}`,
	`{"":"","yes":"no","1":"1","null":"null","1.5":"~","- a":"- b","a: b":"c: d","a #b":"#"}`,
	`{"x":"line\nbreak\tand\r control\u0001 \u007f \u0085 \u2028 \ufeff é ü 問題 🎓 \\ /"}`,
	`{"long":{"https://w3id.org/xapi/openedx/extension/transformer-version":"event-routing-backends@1.0.0","https://w3id.org/xapi/openedx/extensions/session-id":"x"}}`,
	`{"list":[],"object":{},"lists":[[1,[2,["a","b"]]],[{"a":[{"b":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"}]}]]}`,
	`{"nested":[[["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"],"c"],{"d":1}]}`,
	`{"spaces":" x ","two":"a  b","end":"a:","dash":"a - b","time":"12:30","date":"2026-03-02","urn":"urn:uuid:1"}`,
}

func TestEmit(t *testing.T) {
	for _, raw := range emitSeeds {
		assert.JSONEq(t, raw, roundTrip(t, raw))
	}
}

func FuzzEmit(f *testing.F) {
	for _, raw := range emitSeeds {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var v any
		if json.Unmarshal([]byte(raw), &v) != nil || len(raw) > 4096 {
			return
		}
		m, ok := v.(map[string]any)
		if !ok || len(m) == 0 || depth(v) > 50 {
			return
		}
		clean, err := json.Marshal(v)
		require.NoError(t, err)
		assert.JSONEq(t, string(clean), roundTrip(t, string(clean)))
	})
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			deepest = max(deepest, depth(m))
		}
	case []any:
		for _, m := range v {
			deepest = max(deepest, depth(m))
		}
	default:
		return 0
	}
	return deepest + 1
}
