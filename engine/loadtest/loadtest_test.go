package loadtest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptions(t *testing.T) {
	good := Options{Program: "erbd", Events: 1, Batch: 1, Interval: 1, Runs: []Setup{{Routers: 1, Pack: 1}}}
	require.NoError(t, good.check())
	for name, edit := range map[string]func(o *Options){
		"no program":     func(o *Options) { o.Program = "" },
		"no events":      func(o *Options) { o.Events = 0 },
		"backlog":        func(o *Options) { o.Backlog = -1 },
		"batch":          func(o *Options) { o.Batch = 0 },
		"interval":       func(o *Options) { o.Interval = 0 },
		"rate":           func(o *Options) { o.Rate = -1 },
		"no runs":        func(o *Options) { o.Runs = nil },
		"no routers":     func(o *Options) { o.Runs = []Setup{{Pack: 1}} },
		"empty messages": func(o *Options) { o.Runs = []Setup{{Routers: 1}} },
	} {
		o := good
		edit(&o)
		_, err := Measure(t.Context(), o)
		assert.ErrorIs(t, err, ErrOptions, name)
	}
}

// The receiver knows which event a statement is of, at which router, and takes several statements of one for one.
func TestReceiver(t *testing.T) {
	mix, err := workload.Load()
	require.NoError(t, err)
	r, err := newReceiver(t.Context())
	require.NoError(t, err)
	t.Cleanup(r.close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	statement := func(n uint64) string {
		return fmt.Sprintf(`{"timestamp":%q}`, gjson.GetBytes(mix.Append(nil, n), "timestamp").Str)
	}
	post := func(router int, statements ...string) int {
		resp, err := client.Post(r.url(router)+"/statements", "application/json", strings.NewReader("["+strings.Join(statements, ",")+"]"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	r.expect(2, 1000, 3)
	assert.Equal(t, http.StatusOK, post(0, statement(1000), statement(1001), statement(1001), statement(1002)))
	assert.Equal(t, http.StatusNotFound, post(2, statement(1000)))
	assert.Equal(t, http.StatusOK, post(1, statement(1000), statement(999), `{"timestamp":"2020-01-01T00:00:00Z"}`, statement(1001)))
	assert.Equal(t, 1, r.missing)
	assert.Equal(t, 2, r.strange)
	died := make(chan struct{})
	close(died)
	require.ErrorIs(t, r.wait(t.Context(), died), errDied)
	post(1, statement(1002))
	require.NoError(t, r.wait(t.Context(), nil))
	for _, at := range r.at[1] {
		assert.WithinDuration(t, time.Now(), time.Unix(0, at), time.Minute)
	}
	// At the same address, after a while without any.
	r.close()
	require.NoError(t, r.open(t.Context()))
	assert.Equal(t, http.StatusOK, post(0))
}

func TestReport(t *testing.T) {
	r := Report{Go: "go1", System: "os/arch", Processors: 2, Events: 10, EventBytes: 800, Batch: 100, Rate: 50, Runs: []Run{
		{Setup: Setup{Always: true, Routers: 1, Pack: 200}, Start: 0.1, PerSec: 15000, CPU: 40.25, Others: 9, Idle: 47e6, Peak: 204e6,
			Latency: &Latency{P50: 50, P99: 101}, Backlog: &Backlog{Events: 7, Start: 0.2, PerSec: 20000, CPU: 12, Peak: 210e6}},
		{Setup: Setup{Routers: 4, Pack: 1}},
	}}
	var out bytes.Buffer
	require.NoError(t, r.WriteText(&out))
	assert.Equal(t, `go1, os/arch, 2 processors; 10 events of 0.8 KB a run, 100 statements a request
CPU and memory are the daemon's, its message server included. Publisher and receiver are another process
on the same processors; what they cost stands under others.
Latency is from publish to delivery at 50 events/s, one a message, the wait for a batch to fill included.

     sync  routers  events/msg  events/s  µs CPU/event  others µs  start ms  idle MB  peak MB  p50 ms  p99 ms
   always        1         200     15000          40.2        9.0       100       47      204      50     101
  default        4           1         0           0.0        0.0         0        -        -       -       -

sync always, routers 1, events in a message 200: a daemon with a backlog of 7 events is ready in 200 ms and delivers 20000 events/s from its start, 12.0 µs CPU/event, peak 210 MB
`, out.String())
}

func TestProgramThatFails(t *testing.T) {
	program, err := exec.LookPath("false")
	require.NoError(t, err)
	o := Options{Program: program, Dir: t.TempDir(), Events: 1, Batch: 1, Interval: 1, Runs: []Setup{{Routers: 1, Pack: 1}}}
	_, err = Measure(t.Context(), o)
	require.ErrorIs(t, err, errDied)
	left, err := os.ReadDir(o.Dir)
	require.NoError(t, err)
	require.Empty(t, left)
	o.Program = "/nowhere/erbd"
	_, err = Measure(t.Context(), o)
	require.ErrorContains(t, err, "start a daemon")
}
