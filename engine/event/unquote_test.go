package event_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
)

func TestUnquote(t *testing.T) {
	tests := []struct{ name, quoted, want string }{
		{"plain", `"abc"`, "abc"},
		{"empty", `""`, ""},
		{"escapes", `"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{"pair", `"\ud83d\ude00"`, "😀"},
		{"nul", `"a\u0000b"`, "a\x00b"},
		{"lone high surrogate", `"\ud800x"`, "\ufffdx"},
		{"lone low surrogate", `"\udc00x"`, "\ufffdx"},
		{"high surrogate and another escape", `"\ud800\u0041b"`, "\ufffdAb"},
		{"high surrogate and a line break", `"\ud800\nb"`, "\ufffd\nb"},
		{"two high ones and a low one", `"\ud83d\ud83d\ude00"`, "\ufffd😀"},
		{"wrong order", `"\udc00\ud800x"`, "\ufffd\ufffdx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, event.Unquote(tt.quoted))
		})
	}
}

// FuzzUnquote holds the decoder against that of encoding/json.
func FuzzUnquote(f *testing.F) {
	f.Add(`"\ud800\u0041b"`)
	f.Add(`"\ud83d\ude00\\\""`)
	f.Fuzz(func(t *testing.T, quoted string) {
		var want string
		if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' || json.Unmarshal([]byte(quoted), &want) != nil {
			return
		}
		if _, err := new(event.Parser).Parse([]byte(`{"name":"n","v":` + quoted + `}`)); err != nil {
			return // not UTF-8: such an event is refused
		}
		require.Equal(t, want, event.Unquote(quoted))
	})
}
