//go:build unix

package torture

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// fault is one thing that a record store can do.
type fault struct {
	name string
	// batches: only a request of several statements can meet it.
	batches bool
	// pauses: the router stops for it.
	pauses bool
	do     func(s *store, w http.ResponseWriter, q *request)
}

// stall is longer than the time limit of the routers that meet it.
const stall = 1500 * time.Millisecond

// refusals are faults of stores that have taken nothing, lies of those that have taken all of it.
var (
	refusals = []fault{
		plain("500", 500), plain("503", 503), plain("408", 408),
		{name: "429 with Retry-After", do: func(_ *store, w http.ResponseWriter, _ *request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		{name: "503 with Retry-After as a date", do: func(_ *store, w http.ResponseWriter, _ *request) {
			w.Header().Set("Retry-After", time.Now().Add(time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		}},
		{name: "429 with nonsense in Retry-After", do: func(_ *store, w http.ResponseWriter, _ *request) {
			w.Header().Set("Retry-After", "-soon")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		{name: "409 for a batch", batches: true, do: answer(409)},
		{name: "413 for a batch", batches: true, do: answer(413)},
		{name: "400 for a batch", batches: true, do: answer(400)},
		{name: "time-out, not taken", do: func(*store, http.ResponseWriter, *request) { time.Sleep(stall); panic(http.ErrAbortHandler) }},
		{name: "connection cut, not taken", do: func(_ *store, w http.ResponseWriter, _ *request) { cut(w, "") }},
		{name: "half an answer, not taken", do: func(_ *store, w http.ResponseWriter, _ *request) { cut(w, "HTTP/1.1 2") }},
		{name: "no HTTP", do: func(_ *store, w http.ResponseWriter, _ *request) { cut(w, "220 mail.example.com ESMTP\r\n") }},
	}
	pauses = []fault{
		{name: "401", pauses: true, do: answer(401)},
		{name: "403", pauses: true, do: answer(403)},
		{name: "404", pauses: true, do: answer(404)},
		redirect(301), redirect(302), redirect(303), redirect(307), redirect(308),
	}
	lies = []fault{
		{name: "500, but taken", do: func(s *store, w http.ResponseWriter, q *request) { s.take(q); w.WriteHeader(500) }},
		{name: "time-out, but taken", do: func(s *store, _ http.ResponseWriter, q *request) {
			s.take(q)
			time.Sleep(stall)
			panic(http.ErrAbortHandler)
		}},
		{name: "connection cut, but taken", do: func(s *store, w http.ResponseWriter, q *request) { s.take(q); cut(w, "") }},
		{name: "connection reset, but taken", do: func(s *store, w http.ResponseWriter, q *request) { s.take(q); reset(w) }},
		{name: "half an answer, but taken", do: func(s *store, w http.ResponseWriter, q *request) { s.take(q); cut(w, "HTTP/1.1 200 O") }},
		{name: "200, body cut short", do: func(s *store, w http.ResponseWriter, q *request) {
			s.take(q)
			cut(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n[\"")
		}},
		{name: "200, body drips", do: func(s *store, w http.ResponseWriter, q *request) { s.take(q); drip(w, 20*time.Millisecond) }},
		{name: "200, body drips for longer than the time limit", do: func(s *store, w http.ResponseWriter, q *request) { s.take(q); drip(w, 300*time.Millisecond) }},
		{name: "200 with nonsense", do: func(s *store, w http.ResponseWriter, q *request) {
			s.take(q)
			fmt.Fprint(w, "<html>\x00{\"statements\": \"none\"")
		}},
		{name: "204", do: func(s *store, w http.ResponseWriter, q *request) { s.take(q); w.WriteHeader(204) }},
		{name: "200 with other ids", do: func(s *store, w http.ResponseWriter, q *request) {
			s.take(q)
			json.NewEncoder(w).Encode([]string{"1b2b5469-007a-5f1f-9428-08d491625ca4"}) //nolint:errcheck // the daemon was killed
		}},
	}
	// dooms is what happens to statements that no attempt brings anywhere.
	dooms = []fault{
		plain("500 every time", 500), plain("503 every time", 503), plain("429 every time", 429),
		{name: "connection cut every time", do: func(_ *store, w http.ResponseWriter, _ *request) { cut(w, "") }},
	}
)

func answer(code int) func(*store, http.ResponseWriter, *request) {
	return func(_ *store, w http.ResponseWriter, _ *request) { w.WriteHeader(code) }
}

func plain(name string, code int) fault { return fault{name: name, do: answer(code)} }

func redirect(code int) fault {
	return fault{name: fmt.Sprintf("redirect %d", code), pauses: true, do: func(_ *store, w http.ResponseWriter, _ *request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
	}}
}

// cut writes text instead of an answer and closes the connection.
func cut(w http.ResponseWriter, text string) {
	c, b, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b.WriteString(text) //nolint:errcheck // the connection is cut anyway
	b.Flush()           //nolint:errcheck // the same
	c.Close()           //nolint:errcheck // the same
}

// reset closes the connection so that the other end gets an error at once.
func reset(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c.(*net.TCPConn).SetLinger(0) //nolint:errcheck // it is closed in any case
	c.Close()                     //nolint:errcheck // the same
}

// drip sends a good answer bit by bit.
func drip(w http.ResponseWriter, every time.Duration) {
	c := http.NewResponseController(w)
	for range 10 {
		if _, err := w.Write([]byte("          ")); err != nil || c.Flush() != nil {
			return
		}
		time.Sleep(every)
	}
}
