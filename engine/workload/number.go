package workload

import (
	"time"
)

// The number of an event is its timestamp, in microseconds of one day: so every event has a statement of its own, and
// a statement tells which event it is of.
const (
	layout = "2006-01-02T15:04:05.000000-07:00"
	// MaxEvents is the number of events that have timestamps of their own.
	MaxEvents = 24 * 60 * 60 * 1_000_000
)

var day = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func appendTime(dst []byte, n uint64) []byte {
	return day.Add(time.Duration(n%MaxEvents)*time.Microsecond).AppendFormat(dst, layout)
}

// Number returns the number of the event that has a timestamp, false for one that is not of a mix.
func Number(timestamp []byte) (uint64, bool) {
	at, err := time.Parse(time.RFC3339Nano, string(timestamp))
	n := at.Sub(day) / time.Microsecond
	return uint64(n), err == nil && n >= 0 && n < MaxEvents
}
