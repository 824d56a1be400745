package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/transform"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"erbd": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}

// erbd runs a command in this process.
func erbd(ctx context.Context, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, stdin, &out, &errs)
	return code, out.String(), errs.String()
}

func TestInterrupt(t *testing.T) {
	in, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(feed, "{\"name\":\"never.mapped\",\"data\":{}}\n")
		cancel()
	}()
	code, stdout, stderr := erbd(ctx, in, "transform", "--outcomes", "-")
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stderr, "erbd: error: interrupted after ")
	assert.Equal(t, strings.Count(stdout, "\n"), strings.Count(stdout, `"outcome":"unmapped"`))
}

func TestFullOutput(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Log("this system has no /dev/full")
		return
	}
	events := filepath.Join(t.TempDir(), "events.log")
	require.NoError(t, os.WriteFile(events, []byte("nonsense\n"), 0o600))
	code, _, stderr := erbd(t.Context(), nil, "transform", "--outcomes", "-o", "/dev/full", events)
	assert.Equal(t, cli.ExitFailure, code)
	assert.Contains(t, stderr, "erbd: error: write output: write /dev/full: no space left on device\n")
}

func TestWaiting(t *testing.T) {
	w := newWaiting(t.Context(), strings.NewReader(strings.Repeat("0123456789", 1000)))
	all, err := io.ReadAll(w)
	require.NoError(t, err)
	assert.Len(t, all, 10_000)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())

	in, _ := io.Pipe()
	for name, end := range map[string]func(w *waiting, cancel func()){
		"closed":   func(w *waiting, _ func()) { _ = w.Close() },
		"canceled": func(_ *waiting, cancel func()) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWaiting(ctx, in)
		time.AfterFunc(10*time.Millisecond, func() { end(w, cancel) })
		_, err := w.Read(make([]byte, 10))
		require.Error(t, err, name)
		_, err = w.Read(make([]byte, 10))
		require.Error(t, err, name)
		cancel()
		_ = w.Close()
	}
	_ = in.Close()
}

func TestBar(t *testing.T) {
	var progress transform.Progress
	progress.Lines.Store(1000)
	progress.Bytes.Store(50e6)
	assert.Equal(t, "[============            ]  50 %  1000 lines  100/s  50.0 MB  10s left", (&bar{progress: &progress, size: 100e6}).text(10*time.Second))
	assert.Equal(t, "1000 lines  100/s  50.0 MB", (&bar{progress: &progress}).text(10*time.Second))
	assert.NotEmpty(t, (&bar{progress: &progress, size: 1}).text(0))
	var none *bar
	none.stop()
	assert.Nil(t, startBar(io.Discard, &progress, 1))
}
