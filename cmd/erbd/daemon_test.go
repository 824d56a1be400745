package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/sink"
	"github.com/erbd/erbd/engine/stream"
)

// TestDaemonScripts runs the commands around a real daemon with its embedded server. Each script has addresses of its
// own: $NATS, $HTTP, $SINK and, where nothing listens, $NOWHERE.
func TestDaemonScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/daemon", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"NATS", "HTTP", "SINK", "NOWHERE"} {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				env.Setenv(name, l.Addr().String())
				defer l.Close()
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"expand":       expandFile,
			"until":        until,
			"http":         httpRequest,
			"nats-publish": natsPublish,
		},
	})
}

// expandFile replaces $NAME in files by the script's variables.
func expandFile(ts *testscript.TestScript, _ bool, files []string) {
	for _, file := range files {
		text := ts.ReadFile(file)
		for _, name := range []string{"NATS", "HTTP", "SINK", "NOWHERE"} {
			text = strings.ReplaceAll(text, "$"+name, ts.Getenv(name))
		}
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// until runs a program, or asks by HTTP, until that succeeds with output that matches: until REGEX PROGRAM ARGS…, or
// until REGEX http URL.
func until(ts *testscript.TestScript, _ bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if args[1] == "http" {
			out, err = ask(http.MethodGet, args[2], nil)
		} else {
			path, lookErr := exec.LookPath(args[1])
			ts.Check(lookErr)
			cmd := exec.Command(path, args[2:]...)
			cmd.Dir = ts.Getenv("WORK")
			cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("WORK")}
			out, err = cmd.CombinedOutput()
		}
		if err == nil && re.Match(out) {
			return
		}
	}
	ts.Fatalf("%s never succeeded with %q; at last: %v\n%s", strings.Join(args[1:], " "), args[0], err, out)
}

// httpRequest sends a request and prints status and body: http METHOD URL [FILE].
func httpRequest(ts *testscript.TestScript, _ bool, args []string) {
	var body []byte
	if len(args) > 2 {
		body = []byte(ts.ReadFile(args[2]))
	}
	out, err := ask(args[0], args[1], body)
	ts.Check(err)
	_, err = ts.Stdout().Write(out)
	ts.Check(err)
}

func ask(method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Experience-API-Version", "1.0.3")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return append([]byte(resp.Status+"\n"), text...), err
}

// natsPublish publishes a file as one message, as a log shipper might: nats-publish SUBJECT FILE.
func natsPublish(ts *testscript.TestScript, _ bool, args []string) {
	nc, err := nats.Connect("nats://" + ts.Getenv("NATS"))
	ts.Check(err)
	defer nc.Close()
	_, err = nc.Request(args[0], []byte(ts.ReadFile(args[1])), 10*time.Second)
	ts.Check(err)
}

// TestPublishInterrupted reads a pipe that does not end.
func TestPublishInterrupted(t *testing.T) {
	server, err := stream.StartEmbedded(stream.EmbeddedOptions{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Relaxed: true})
	require.NoError(t, err)
	defer server.Close()
	nc, err := server.Connect("test")
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	publish := func(ctx context.Context, in io.Reader) (int, string, string) {
		return erbd(ctx, in, "publish", "--nats.url", server.URL(), "-")
	}
	code, _, stderr := publish(t.Context(), strings.NewReader(""))
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stderr, "the message server has no stream ERB_RAW\nhint: erbd serve makes it")

	f, err := stream.Detect(t.Context(), nc, js)
	require.NoError(t, err)
	require.NoError(t, stream.Topology{Backends: []string{"xapi"}}.Ensure(t.Context(), js, f))
	in, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		_, _ = io.WriteString(feed, "{\"name\":\"piped\"}\n")
		for {
			s, err := js.Stream(ctx, stream.RawStream)
			if err != nil || s.CachedInfo().State.Msgs > 0 {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	code, stdout, stderr := publish(ctx, in)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stdout, "published 1 events")
	assert.Contains(t, stderr, "erbd: error: interrupted: everything before -:2 is published\nhint: run the command again")
}

func TestRateFlag(t *testing.T) {
	for text, want := range map[string]float64{"500": 500, "500/s": 500, " 60 / m": 1, "3600/h": 1, "0.5": 0.5} {
		var r rateFlag
		require.NoError(t, r.Set(text), text)
		assert.InDelta(t, want, r.perSecond, 1e-9, text)
		assert.Equal(t, text, r.String())
	}
	for _, text := range []string{"", "0", "-1", "x", "1/d", "NaN", "Inf", "/s"} {
		assert.Error(t, (&rateFlag{}).Set(text), text)
	}
}

func TestAges(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"30d": 30 * day, "2w": 14 * day, "12h": 12 * time.Hour, "1w2d3h4m": 9*day + 3*time.Hour + 4*time.Minute, "99999d": 99999 * day} {
		got, err := parseAge(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "d", "30", "-1d", "0d", "1.5d", "2d1w", "999999d", "-1h", "1d-25h", "x\n"} {
		_, err := parseAge(text)
		assert.Error(t, err, text)
	}
	var m momentFlag
	require.NoError(t, m.Set("2026-01-31"))
	assert.Equal(t, time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), m.Time)
	require.NoError(t, m.Set("2026-01-31T12:00:00+02:00"))
	assert.Equal(t, time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC), m.UTC())
	require.NoError(t, m.Set("1d"))
	assert.WithinDuration(t, time.Now().Add(-day), m.Time, time.Minute)
	assert.Error(t, m.Set("yesterday"))
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:4222": "127.0.0.1:4222", ":4222": "127.0.0.1:4222", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "127.0.0.1:1", "host:1": "host:1", "x": "x",
	} {
		assert.Equal(t, want, reachable(listen))
	}
}

func TestSinkLine(t *testing.T) {
	for want, st := range map[string]sink.Statement{
		"xapi a played http://o\u00e9 (duplicate)": {Backend: "xapi", ID: "a", Duplicate: true, JSON: []byte(`{"verb":{"id":"http://x/verbs/played"},"object":{"id":"http://o` + "\u00e9" + `"}}`)},
		"caliper b MediaEvent Started http://v":    {Backend: "caliper", ID: "b", JSON: []byte(`{"type":"MediaEvent","action":"Started","object":"http://v"}`)},
		"xapi c  a b ":                             {Backend: "xapi", ID: "c", JSON: []byte(`{"object":{"id":"a\u001bb\u202e"}}`)},
	} {
		assert.Equal(t, want, sinkLine(st))
	}
	assert.Equal(t, `{"a": 1}`, compact([]byte("{\"a\":\r\n 1}\n")))
	assert.Len(t, safe(strings.Repeat("x", 1000)), 303)
	assert.NotContains(t, safeLines("a\x1b\u0085b\n"), "\x1b")
	var b bytes.Buffer
	require.NoError(t, writeArray(&b, []int{1, 2}))
	assert.Equal(t, "[\n1,\n2\n]\n", b.String())
	b.Reset()
	require.NoError(t, writeArray(&b, []int{}))
	assert.Equal(t, "[\n]\n", b.String())
}
