package expr

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// The short ways of this package give what the general ones give.

func FuzzCommonTime(f *testing.F) {
	for _, s := range []string{
		"2021-05-01T10:00:00Z", "2021-05-01T10:00:00+00:00", "2021-05-01T10:00:00-00:00", "2021-05-01T10:00:00.288Z",
		"2021-05-01T10:00:00.000000-08:00", "2021-05-01T10:00:00.1234567Z", "2021-05-01T10:00:00.Z", "2021-05-01T10:00:00.5",
		"2021-02-29T10:00:00Z", "2020-02-29T23:59:59+05:30", "0000-01-01T00:00:00Z", "2021-13-01T00:00:00Z", "2021-05-01 10:00:00Z",
		"2021-05-01T24:00:00Z", "2021-05-01T10:00:00+24:00", "2021-05-01T10:00:00+02:60", "20210501T100000Z", "2021-05-01T10:00:0:Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		short, ok := appendCommonTime([]byte("x"), s)
		if !ok {
			require.Equal(t, "x", string(short))
			return
		}
		at, offset, ok := parseTime(s, false)
		require.True(t, ok && offset, s)
		require.Equal(t, string(appendTime([]byte("x"), at)), string(short), s)
		_, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
	})
}

func FuzzSpaced(f *testing.F) {
	for _, s := range []string{
		`{"objectType":"Agent","account":{"name":"x","homePage":"http://localhost:18000"}}`, `[]`, `{}`, `"é"`, `["a\u007fb"]`, "\"a\x7fbcdefgh\"",
		`{"a":[1,-0,1.0,1e3,123456789012345678,1234567890123456789,true,false,null]}`, `{"a": 1}`, `"a:b,c{d"`, `["\"",{"\\":"\/"}]`, `["12345678é"]`, "\"\xff000000\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !gjson.Valid(s) {
			return
		}
		for _, ascii := range []bool{true, false} {
			require.Equal(t, string(appendSpacedAny(nil, gjson.Parse(s), ascii)), string(appendSpaced(nil, s, ascii)), s)
		}
	})
}
