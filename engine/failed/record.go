package failed

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/erbd/erbd/engine/natskey"
)

// recordVersion is the form of the records that this version writes.
const recordVersion = 1

// Record is one event that could not be delivered to one router.
type Record struct {
	// Version of the record's form; Put sets it.
	Version int `json:"version"`
	// Backend and Router that were to deliver it.
	Backend string `json:"backend"`
	Router  string `json:"router"`
	// ID identifies the event: by custom the id of its first statement.
	ID string `json:"id"`
	// Name of the event.
	Name string `json:"name"`
	// Statements that were not delivered.
	Statements []Statement `json:"statements"`
	// Event is the original event. It is missing when the record would be larger than the bucket takes.
	Event json.RawMessage `json:"event,omitempty"`
	// Attempts to deliver it, all in all.
	Attempts int `json:"attempts"`
	// Status, Reason and Answer of the last attempt. Answer is bounded, without secrets; it may hold what the record
	// store echoed.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
	Answer string `json:"answer,omitempty"`
	// First is when the event was first published for the router, Last when it was last tried.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Lease is until when a replay owns the record, the zero time when none does.
	Lease time.Time `json:"lease,omitzero"`
}

// Statement is one undelivered statement or Caliper event.
type Statement struct {
	ID   string          `json:"id"`
	JSON json.RawMessage `json:"json"`
}

// Key returns the key of the record.
func (r *Record) Key() Key {
	return Key{Backend: r.Backend, Router: r.Router, Date: r.First, ID: r.ID}
}

// Entry is a record in the bucket.
type Entry struct {
	// Key as the bucket has it.
	Key string
	// Revision of the record, which a later change must name.
	Revision uint64
	Record   Record
}

// Filter chooses records; its zero value chooses all.
type Filter struct {
	// Backend and Router, if set, must be the record's.
	Backend, Router string
	// Name, if set, must be the event's.
	Name string
	// Before and Since, if set, bound the time of the last attempt: Since <= Last < Before.
	Before, Since time.Time
}

// keys returns the pattern of keys to ask the bucket for.
func (f Filter) keys() string {
	part := func(s string) string {
		if s == "" {
			return "*"
		}
		return natskey.Encode(s)
	}
	return part(f.Backend) + "." + part(f.Router) + ".*.*"
}

func (f Filter) match(r *Record) bool {
	return (f.Name == "" || f.Name == r.Name) && (f.Before.IsZero() || r.Last.Before(f.Before)) && (f.Since.IsZero() || !r.Last.Before(f.Since))
}

// marshal writes a record without the escapes that HTML wants: they would make it several times larger.
func marshal(r *Record) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
