package deliver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/tidwall/gjson"
)

// sendTimeLayout is ISO 8601 in UTC with milliseconds, as Caliper wants it.
const sendTimeLayout = "2006-01-02T15:04:05.000Z"

var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// body returns the request body for items. It is not pooled: net/http may still read a body after the answer came.
func (c *Client) body(items []Item, now time.Time) []byte {
	size := 2
	for _, it := range items {
		size += len(it.JSON) + 1
	}
	if c.envelope != nil {
		return c.envelope.appendTo(make([]byte, 0, size+c.envelope.size()), items, now)
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

// envelope is a Caliper envelope cut where the time and the events go in.
type envelope struct {
	text  []byte
	holes []hole // in the order of at
}

// hole is a place in the text that is filled for each request.
type hole struct {
	at, end int
	data    bool // the events; else the time
}

// newEnvelope builds {sensor, sendTime, data, dataVersion} and lets override change it. The data must stay as they
// are; a sendTime that override sets is kept. Errors wrap ErrConfig.
func newEnvelope(sensor string, override func([]byte) ([]byte, error)) (*envelope, error) {
	text, err := json.Marshal(struct {
		Sensor   string     `json:"sensor"`
		SendTime string     `json:"sendTime"`
		Data     []struct{} `json:"data"`
		Version  string     `json:"dataVersion"`
	}{sensor, "", []struct{}{}, caliperVersion})
	if err == nil && override != nil {
		text, err = override(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: build the envelope: %w", ErrConfig, err)
	}
	if !json.Valid(text) || !gjson.ParseBytes(text).IsObject() {
		return nil, fmt.Errorf("%w: the envelope is no JSON object after override_args", ErrConfig)
	}
	e := &envelope{text: text}
	data := gjson.GetBytes(text, "data")
	if data.Raw != "[]" {
		return nil, fmt.Errorf("%w: override_args cannot replace data, which holds the events of the envelope", ErrConfig)
	}
	e.holes = append(e.holes, hole{at: data.Index, end: data.Index + len(data.Raw), data: true})
	if sent := gjson.GetBytes(text, "sendTime"); sent.Raw == `""` {
		e.holes = append(e.holes, hole{at: sent.Index, end: sent.Index + len(sent.Raw)})
	}
	sort.Slice(e.holes, func(i, j int) bool { return e.holes[i].at < e.holes[j].at })
	return e, nil
}

func (e *envelope) size() int { return len(e.text) + len(sendTimeLayout) }

func (e *envelope) appendTo(dst []byte, items []Item, now time.Time) []byte {
	from := 0
	for _, h := range e.holes {
		dst = append(dst, e.text[from:h.at]...)
		if h.data {
			dst = appendArray(dst, items)
		} else {
			dst = append(dst, '"')
			dst = now.UTC().AppendFormat(dst, sendTimeLayout)
			dst = append(dst, '"')
		}
		from = h.end
	}
	return append(dst, e.text[from:]...)
}
