package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/cli"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"mapcheck": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}

// output is written by a command and read by the test at once.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// TestWatch edits a mapping and a case while mapcheck watches.
func TestWatch(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	mappings, golden := filepath.Join(dir, "mappings"), filepath.Join(dir, "golden")
	write := func(file, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	mapping := filepath.Join(mappings, "xapi", "ping.yaml")
	write(mapping, "version: 1\nbackend: xapi\nevents: {ping: {}}\nstatement: {id: one}\n")
	file := filepath.Join(golden, "xapi", "ping", "first.yaml")
	write(file, "event: {name: ping, data: {}}\nexpect:\n  - {id: one}\n")
	write(filepath.Join(golden, "xapi", "ping", "second.yaml"), "event: {name: ping, data: {}}\nexpect:\n  - {id: one}\n")

	ctx, cancel := context.WithCancel(t.Context())
	var out, errs output
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"test", "--watch", "--mappings", mappings, "--golden", golden}, nil, &out, &errs)
	}()
	sees := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), text) }, 20*time.Second, 5*time.Millisecond, "%s%s", &out, &errs)
	}
	sees("2 cases: 2 passed")
	write(mapping, "version: 1\nbackend: xapi\nevents: {ping: {}}\nstatement: {id: two}\n")
	sees("2 cases: 0 passed, 2 failed")
	write(file, "event: {name: ping, data: {}}\nexpect:\n  - {id: two}\n")
	sees("1 case: 1 passed")
	write(filepath.Join(golden, "xapi", "pong", "first.yaml"), "event: {name: pong, data: {}}\nexpect: unmapped\n")
	sees("watching")
	cancel()
	assert.Equal(t, cli.ExitFine, <-done)
	assert.Empty(t, errs.String())
}
