package sink

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// arrival is a statement with the sum of its content.
type arrival struct {
	Statement
	sum [16]byte
}

// parse reads the statements of a request.
func parse(r *http.Request, xapi bool, body []byte) ([]arrival, *refusal) {
	if xapi {
		if v := r.Header.Get("X-Experience-API-Version"); !strings.HasPrefix(v, "1.0") && !strings.HasPrefix(v, "2.0") {
			return nil, refuse(http.StatusBadRequest, "header X-Experience-API-Version is missing or of another version")
		}
		return parseStatements(body)
	}
	return parseEnvelope(body)
}

func parseStatements(body []byte) ([]arrival, *refusal) {
	list := []json.RawMessage{body}
	if b := bytes.TrimSpace(body); len(b) > 0 && b[0] == '[' {
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is no JSON")
		}
	}
	out := make([]arrival, len(list))
	seen := map[string]bool{}
	for i, raw := range list {
		var st struct {
			ID     string          `json:"id"`
			Actor  json.RawMessage `json:"actor"`
			Verb   json.RawMessage `json:"verb"`
			Object json.RawMessage `json:"object"`
		}
		if err := json.Unmarshal(raw, &st); err != nil {
			return nil, refuse(http.StatusBadRequest, "statement %d is no JSON object", i+1)
		}
		if st.Actor == nil || st.Verb == nil || st.Object == nil {
			return nil, refuse(http.StatusBadRequest, "statement %d lacks actor, verb or object", i+1)
		}
		id := strings.ToLower(st.ID)
		switch {
		case id == "":
			id = uuid.NewString()
		case uuid.Validate(id) != nil || len(id) != 36:
			return nil, refuse(http.StatusBadRequest, "the id of statement %d is no UUID", i+1)
		}
		if seen[id] {
			return nil, refuse(http.StatusBadRequest, "statement %d has the id of another one in the request", i+1)
		}
		seen[id] = true
		out[i] = arrival{Statement{Backend: "xapi", ID: id, JSON: raw}, sum(raw)}
	}
	return out, nil
}

func parseEnvelope(body []byte) ([]arrival, *refusal) {
	var env struct {
		Sensor      *string           `json:"sensor"`
		SendTime    *string           `json:"sendTime"`
		DataVersion *string           `json:"dataVersion"`
		Data        []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &env); err != nil {
		return nil, refuse(http.StatusBadRequest, "the body is no Caliper envelope")
	}
	if env.Sensor == nil || env.SendTime == nil || env.DataVersion == nil || env.Data == nil {
		return nil, refuse(http.StatusBadRequest, "the envelope lacks sensor, sendTime, dataVersion or data")
	}
	out := make([]arrival, len(env.Data))
	for i, raw := range env.Data {
		var ev struct {
			ID   string `json:"id"`
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &ev); err != nil || ev.ID == "" || ev.Type == "" {
			return nil, refuse(http.StatusBadRequest, "event %d of the envelope is no object with id and type", i+1)
		}
		out[i] = arrival{Statement{Backend: "caliper", ID: ev.ID, JSON: raw}, sum(raw)}
	}
	return out, nil
}

// sum is the sum of a document whatever its white space and the order of its keys.
func sum(raw []byte) [16]byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) == nil {
		if b, err := json.Marshal(v); err == nil {
			raw = b
		}
	}
	s := sha256.Sum256(raw)
	return [16]byte(s[:16])
}

// presence is what is known of an id.
type presence uint8

const (
	absent presence = iota
	same            // it is here with the same content
	other           // it is here with other content
)

// known remembers a bounded number of ids with the sums of their content; the oldest goes first.
type known struct {
	sums  map[string][16]byte
	order []string // a ring once it is full
	next  int
	max   int
}

func newKnown(limit int) *known { return &known{sums: map[string][16]byte{}, max: limit} }

func (k *known) look(id string, sum [16]byte) presence {
	have, ok := k.sums[id]
	switch {
	case !ok:
		return absent
	case have == sum:
		return same
	default:
		return other
	}
}

func (k *known) add(id string, sum [16]byte) {
	if _, ok := k.sums[id]; ok {
		return
	}
	k.sums[id] = sum
	if len(k.order) < k.max {
		k.order = append(k.order, id)
		return
	}
	delete(k.sums, k.order[k.next])
	k.order[k.next] = id
	k.next = (k.next + 1) % k.max
}
