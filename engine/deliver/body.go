package deliver

import (
	"bytes"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// body returns the request body for items. It is not pooled: net/http may still read a body after the answer came.
func (c *Client) body(items []Item, now time.Time) []byte {
	size := 2
	for _, it := range items {
		size += len(it.JSON) + 1
	}
	if c.envelope != nil {
		return c.envelope.Append(make([]byte, 0, size+c.envelope.size()), items, now)
	}
	if len(items) == 1 {
		return items[0].JSON
	}
	return appendArray(make([]byte, 0, size), items)
}

func appendArray(dst []byte, items []Item) []byte {
	dst = append(dst, '[')
	for i, it := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, it.JSON...)
	}
	return append(dst, ']')
}

// compress returns b in gzip form. Writing to memory cannot fail.
func compress(b []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(b)/4 + 64)
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}
