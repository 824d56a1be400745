// Command erbd turns the tracking events of Open edX into xAPI statements and
// Caliper events.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/erbd/erbd/engine/lookup/source"
)

func main() {
	// The first signal asks to stop, the second one kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command and returns the exit code: 0 fine, 1 failure, 2 usage.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, env: os.Environ(), lookupEnv: os.LookupEnv}
	a.sources.Options = source.Options{LookupEnv: a.lookupEnv, Connect: a.connectLookups, Health: a.lookupHealth}
	root := newRootCmd(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return a.report(errors.Join(err, a.sources.Close()))
}
