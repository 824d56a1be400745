package loadtest

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Report is what was measured.
type Report struct {
	Go         string `json:"go"`
	System     string `json:"system"`
	Processors int    `json:"processors"`
	// Events of a run, and their mean size in bytes.
	Events     int `json:"events"`
	EventBytes int `json:"event_bytes"`
	// Batch is the number of statements in a request, Rate that of events a second of the latency.
	Batch int   `json:"batch"`
	Rate  int   `json:"rate"`
	Runs  []Run `json:"runs"`
}

// Run is what one setup measured. Times and memory are those of the daemon's process alone unless it says otherwise.
type Run struct {
	Setup
	// Start is the time from the start of the process until it is ready, in seconds.
	Start float64 `json:"start_seconds"`
	// Seconds from the first publish to the last delivery, and the events that each second saw through.
	Seconds float64 `json:"seconds"`
	PerSec  float64 `json:"events_per_second"`
	// Stored is the rate at which the intake stored events meanwhile.
	Stored float64 `json:"stored_per_second"`
	// CPU is the processor time of one event in microseconds; Others that of publishing and receiving it, which is
	// the work of the process that measures.
	CPU    float64 `json:"cpu_us_per_event"`
	Others float64 `json:"publisher_and_receiver_us_per_event"`
	// Idle, Peak: resident memory before the first event and at its highest, in bytes; 0 where the system does not tell.
	Idle int64 `json:"idle_bytes"`
	Peak int64 `json:"peak_bytes"`
	// Latency from publish to delivery at the steady rate; nil where it was not measured.
	Latency *Latency `json:"latency,omitempty"`
	// Backlog is nil where none was asked for.
	Backlog *Backlog `json:"backlog,omitempty"`
}

// Latency is the time from before an event is published until its statement is at the receiver.
type Latency struct {
	Events int     `json:"events"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

// Backlog is the start of a daemon for whose routers events wait.
type Backlog struct {
	Events int `json:"events"`
	// Start is the time until the daemon is ready; PerSec and CPU are from the start of its process to the last delivery.
	Start  float64 `json:"start_seconds"`
	PerSec float64 `json:"events_per_second"`
	CPU    float64 `json:"cpu_us_per_event"`
	Peak   int64   `json:"peak_bytes"`
}

// WriteText writes a table for people.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s, %s, %d processors; %d events of %.1f KB a run, %d statements a request\n",
		r.Go, r.System, r.Processors, r.Events, float64(r.EventBytes)/1000, r.Batch)
	fmt.Fprintln(w, "CPU and memory are the daemon's, its message server included. Publisher and receiver are another process")
	fmt.Fprintln(w, "on the same processors; what they cost stands under others.")
	if r.Rate > 0 {
		fmt.Fprintf(w, "Latency is from publish to delivery at %d events/s, one a message, the wait for a batch to fill included.\n", r.Rate)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "sync\trouters\tevents/msg\tevents/s\tµs CPU/event\tothers µs\tstart ms\tidle MB\tpeak MB\tp50 ms\tp99 ms\t")
	for _, run := range r.Runs {
		p50, p99 := "-", "-"
		if run.Latency != nil {
			p50, p99 = fmt.Sprintf("%.0f", run.Latency.P50), fmt.Sprintf("%.0f", run.Latency.P99)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.0f\t%.1f\t%.1f\t%.0f\t%s\t%s\t%s\t%s\t\n", run.sync(), run.Routers, run.Pack, run.PerSec,
			run.CPU, run.Others, 1000*run.Start, megabytes(run.Idle), megabytes(run.Peak), p50, p99)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, run := range r.Runs {
		if b := run.Backlog; b != nil {
			fmt.Fprintf(w, "\n%s: a daemon with a backlog of %d events is ready in %.0f ms and delivers %.0f events/s from its start, %.1f µs CPU/event, peak %s MB\n",
				run.Setup, b.Events, 1000*b.Start, b.PerSec, b.CPU, megabytes(b.Peak))
		}
	}
	return nil
}

func megabytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(n)/1e6)
}
