package event

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMembers holds the members that a Parser notes, also those that it moves when it brings a line of a log to the
// emitted shape, against those that are noted when the result is read anew.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","data":{"id":[1,{"x":2}],"o":{"e":{}}},"context":{"k":"v\n","\u0061":-1}}`,
		`{"event_type":"a","time":"T","event":"{\"id\": {\"b\":[{}]}, \"n\": 1.5}","context":{"x":[]}}`,
		`{"event_type":"a","time":{"t":{"u":1}},"event":{"id":{"c":"d"},"e":1},"name":null}`,
		"{\"event_type\":\"a\",\n\"event\": [ {\"x\":1} ] }", `{"event_type":"b","event":"plain","time":""}`, `{"event_type":"b","event":"\"t\\\\x\""}`,
	} {
		f.Add([]byte(s))
	}
	var p Parser
	var v validator
	f.Fuzz(func(t *testing.T, line []byte) {
		ev, err := p.Parse(line)
		if err != nil {
			return
		}
		end, err := v.value(ev.JSON, DefaultLimits.MaxDepth+1)
		require.NoError(t, err)
		require.Equal(t, len(ev.JSON), end)
		require.Equal(t, v.members, ev.members, "%s", ev.JSON)
	})
}
