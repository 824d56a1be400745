package deliver

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/tidwall/gjson"
)

// sendTimeLayout is ISO 8601 in UTC with milliseconds, as Caliper wants it.
const sendTimeLayout = "2006-01-02T15:04:05.000Z"

// Envelope is a Caliper envelope cut where the time and the events go in. It is immutable and safe for concurrent use.
type Envelope struct {
	text  []byte
	holes []hole // in the order of at
}

// hole is a place in the text that is filled for each request.
type hole struct {
	at, end int
	data    bool // the events; else the time
}

// NewEnvelope builds {sensor, sendTime, data, dataVersion} and lets override, if it is not nil, change it. The data
// must stay as they are; a sendTime that override sets is kept. Errors wrap ErrConfig.
func NewEnvelope(sensor string, override func([]byte) ([]byte, error)) (*Envelope, error) {
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
	e := &Envelope{text: text}
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

func (e *Envelope) size() int { return len(e.text) + len(sendTimeLayout) }

// Append appends an envelope that holds the events of items and was sent now, one JSON object.
func (e *Envelope) Append(dst []byte, items []Item, now time.Time) []byte {
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
