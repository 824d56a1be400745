package lint

import (
	"sort"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
)

// paths are the dotted paths that events have, and their last keys, with the values of scalars as text.
type paths map[string][]string

// add takes the paths of an event.
func (p paths) add(line []byte) {
	ev, err := event.NewParser(event.Limits{}).Parse(line)
	if err == nil {
		p.walk("", gjson.ParseBytes(ev.JSON), 0)
	}
}

func (p paths) walk(prefix string, v gjson.Result, depth int) {
	if depth > 32 {
		return
	}
	v.ForEach(func(k, m gjson.Result) bool {
		if !v.IsObject() {
			return false
		}
		path := prefix + k.Str
		text := m.String()
		if m.IsObject() || m.IsArray() || m.Type == gjson.Null {
			text = ""
		}
		p[path] = append(p[path], text)
		if k.Str != path {
			p[k.Str] = append(p[k.Str], text)
		}
		if m.IsObject() {
			p.walk(path+".", m, depth+1)
		}
		return true
	})
}

// has tells whether an event has a path, or a bare key anywhere.
func (p paths) has(path string) bool { return len(p[path]) > 0 }

// names lists the dotted paths.
func (p paths) names() (list []string) {
	for path := range p {
		if strings.Contains(path, ".") {
			list = append(list, path)
		}
	}
	sort.Strings(list)
	return list
}
