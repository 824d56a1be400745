package event

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMembers(t *testing.T) {
	tests := []struct{ name, json, want string }{
		{"object", `{"a":1,"b":"x,}","c":[1,2],"d":{"a":3},"e":null,"f":true,"g":-1.5e3}`, `a=1 b="x,}" c=[1,2] d={"a":3} e=null f=true g=-1.5e3 `},
		{"list", "[ 1 ,\n\"a\", {\"b\":[]} ]", `=1 ="a" ={"b":[]} `},
		{"spaces and escapes", "{ \"\\u0061b\" : \"\\\"\" }", `ab="\"" `},
		{"empty", `{}`, ``},
		{"no members", `"text"`, ``},
		{"nothing", ``, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			Members(tt.json, func(key string, v Span) bool {
				got += key + "=" + tt.json[v.Start:v.End] + " "
				return true
			})
			require.Equal(t, tt.want, got)
		})
	}
	const twice = `{"a":1,"b":2,"a":3}`
	v := Member(twice, "a")
	require.Equal(t, "3", twice[v.Start:v.End])
	require.Zero(t, Member(twice, "c"))
	require.Zero(t, Member(`["a"]`, "a"))
}
