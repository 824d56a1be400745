package route

import (
	"fmt"
	"strings"

	"github.com/tidwall/sjson"
)

// Override returns doc, a statement or an envelope, with the router's override_args set at its root: keys that are
// there are replaced where they stand, others are added at the end. doc is not changed; without overrides it is
// returned as it is.
func (r *Router) Override(doc []byte) ([]byte, error) {
	for _, o := range r.Overrides {
		next, err := sjson.SetRawBytes(doc, rootPath(o.Key), o.Value)
		if err != nil {
			return nil, fmt.Errorf("set override_args key %q of %s router %s: %w", o.Key, r.Backend, r.Name, err)
		}
		doc = next
	}
	return doc, nil
}

// rootPath returns the sjson path of a root key, whatever characters it holds.
func rootPath(key string) string {
	var b strings.Builder
	b.Grow(len(key) + 1)
	b.WriteByte(':') // a key of digits is a key, not an index
	for i := 0; i < len(key); i++ {
		if strings.IndexByte(`\.|#@*?:!{}[]()=<>%"~`, key[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(key[i])
	}
	return b.String()
}
