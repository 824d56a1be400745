package event

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestScan(t *testing.T) {
	tests := []struct{ name, json, lookup, want string }{
		{"path", `{"data":{"id":"x"}}`, "data.id", `"x"`},
		{"path through spaces", "{ \"data\" :\n{ \"id\" : 12.50 } }", "data.id", `12.50`},
		{"path does not enter lists", `{"data":[{"id":1}]}`, "data.id", ``},
		{"path through text", `{"data":"id"}`, "data.id", ``},
		{"path to an object", `{"data":{"a":{"b":[1,"]"]}}}`, "data.a", `{"b":[1,"]"]}`},
		{"escaped key", `{"d\u0061ta":{"i\u0064":true}}`, "data.id", `true`},
		{"last duplicate", `{"data":{"id":1},"data":{"id":2}}`, "data.id", `2`},
		{"last duplicate hides", `{"data":{"id":1},"data":{"x":2}}`, "data.id", ``},
		{"last duplicate is no object", `{"data":{"id":1},"data":3}`, "data.id", ``},
		{"find at the root wins over earlier children", `{"a":{"k":1},"k":2}`, "?k", `2`},
		{"find null at the root", `{"a":{"k":1},"k":null}`, "?k", `null`},
		{"find in document order", `{"a":{"b":{"k":1}},"c":{"k":2}}`, "?k", `1`},
		{"find own level before children", `{"a":{"b":{"k":1},"k":3},"c":{"k":2}}`, "?k", `3`},
		{"find null goes on to the next object", `{"a":{"b":{"k":1},"k":null},"c":{"k":2}}`, "?k", `2`},
		{"find does not enter lists", `{"a":[{"k":1}],"b":{"k":2}}`, "?k", `2`},
		{"find empty text stops the search", `{"a":{"k":""},"b":{"k":2}}`, "?k", `""`},
		{"find object", `{"a":{"k":{"k":1}}}`, "?k", `{"k":1}`},
		{"empty object", `{}`, "?k", ``},
		{"string with quote at the end", `{"a":"\\\"","k":"\\"}`, "?k", `"\\"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := NewScanner()
			var slot Slot
			if key, ok := strings.CutPrefix(tt.lookup, "?"); ok {
				slot = x.Find(key)
			} else {
				slot = x.Path(tt.lookup)
			}
			var s Scan
			spans := s.Run(x, Event{JSON: []byte(tt.json)})
			require.Equal(t, tt.want, string(spans[slot].Raw([]byte(tt.json))))
		})
	}
}

// FuzzScan holds the one-pass look-ups against a plain walk over the decoded event.
func FuzzScan(f *testing.F) {
	f.Add(`{"a":{"k":null,"b":{"k":1}},"c":{"k":2},"k":"x"}`)
	f.Add(`{"data":{"id":1,"k":{"id":2}},"data":{"k":[{"id":3}]}}`)
	f.Fuzz(func(t *testing.T, src string) {
		if !json.Valid([]byte(src)) || !utf8.ValidString(src) {
			return // a Parser refuses it
		}
		var root map[string]any
		if json.Unmarshal([]byte(src), &root) != nil || hasDuplicates(src) {
			return
		}
		x := NewScanner()
		slots := map[string]Slot{"a": x.Path("a"), "a.k": x.Path("a.k"), "data.id": x.Path("data.id"), "?k": x.Find("k"), "?id": x.Find("id")}
		var s Scan
		spans := s.Run(x, Event{JSON: []byte(src)})
		for _, name := range slices.Sorted(maps.Keys(slots)) {
			raw := spans[slots[name]].Raw([]byte(src))
			var got any
			if len(raw) > 0 {
				require.NoError(t, json.Unmarshal(raw, &got), name)
			}
			if strings.HasPrefix(name, "?") {
				// The order of an object's members is lost in a Go map: compare where the answer does not depend on it.
				if v, ok := root[name[1:]]; ok {
					require.Equal(t, v, got, name)
				}
				continue
			}
			require.Equal(t, walk(root, strings.Split(name, ".")), got, name)
		}
	})
}

func walk(v any, path []string) any {
	for _, key := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[key]
	}
	return v
}

func hasDuplicates(src string) bool {
	dec := json.NewDecoder(strings.NewReader(src))
	var stack []map[string]bool
	expectKey := []bool{}
	for {
		tok, err := dec.Token()
		if err != nil {
			return false
		}
		switch v := tok.(type) {
		case json.Delim:
			switch v {
			case '{':
				stack, expectKey = append(stack, map[string]bool{}), append(expectKey, true)
				continue
			case '[':
				stack, expectKey = append(stack, nil), append(expectKey, false)
				continue
			default:
				stack, expectKey = stack[:len(stack)-1], expectKey[:len(expectKey)-1]
			}
		case string:
			if n := len(stack) - 1; n >= 0 && stack[n] != nil && expectKey[n] {
				if stack[n][v] {
					return true
				}
				stack[n][v] = true
				expectKey[n] = false
				continue
			}
		}
		if n := len(stack) - 1; n >= 0 && stack[n] != nil {
			expectKey[n] = true
		}
	}
}

func BenchmarkScan(b *testing.B) {
	ev := []byte(`{"name":"play_video","timestamp":"2023-02-03T14:18:20Z","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0","client_id":null,"course_id":"course-v1:edX+DemoX+Demo_Course","course_user_tags":{},"event_source":"browser","host":"lms.example.edu","ip":"203.0.113.217","org_id":"edX","page":null,"path":"/courses/course-v1:edX+DemoX+Demo_Course/xblock/handler","referer":"http://lms.example.edu/courses/course-v1:edX+DemoX+Demo_Course/courseware/283fefc63f0cd0e873a0000c6d07ef7b/","session":"77e90d3593ad699fc1f7cd5bb2e35cbf","user_id":37,"username":"learner37"},"data":{"id":"c519c3d7770c2e82ce736c5929195972","code":"b7xgknqkQk8","duration":195,"currentTime":69.85559520079471}}`)
	x := NewScanner()
	for _, p := range []string{"data.id", "data.duration", "data.current_time", "data.currentTime", "context.course_id", "data.user_id", "data.username"} {
		x.Path(p)
	}
	for _, k := range []string{"session", "timestamp", "time", "user_id", "username"} {
		x.Find(k)
	}
	var s Scan
	b.SetBytes(int64(len(ev)))
	b.ReportAllocs()
	for b.Loop() {
		s.Run(x, Event{JSON: ev})
	}
}
