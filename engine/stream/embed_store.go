package stream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// storeStop bounds how long the server may take to give its store up.
const storeStop = 30 * time.Second

// StoreDir is the directory of EmbeddedOptions.
func (e *Embedded) StoreDir() string { return e.options.StoreDir }

// StoreFault says why the server does not store messages any more, nil while it does. After a failed write the server
// refuses every further one of that stream, without an answer to the publisher and for good: until StopStore and
// StartStore. It wraps ErrStore.
func (e *Embedded) StoreFault() error {
	if !e.server.JetStreamEnabled() {
		return fmt.Errorf("%w: the server has switched it off", ErrStore)
	}
	for _, he := range e.server.Healthz(&server.HealthzOptions{Details: true}).Errors {
		// The text is all that tells a failed write from a stream that is not known, which is none of ours.
		if _, why, ok := strings.Cut(he.Error, " write error: "); ok && he.Type == server.HealthzErrorStream {
			return fmt.Errorf("%w: stream %s: %s", ErrStore, he.Stream, why)
		}
	}
	return nil
}

// StopStore closes all streams and leaves the server and its connections running. What is published on a stream's
// subject has no responder then. Stopping twice is fine. The error wraps ErrStore: the store did not close in time.
func (e *Embedded) StopStore() error {
	if err := e.server.ShutdownJetStream(); err != nil {
		return fmt.Errorf("%w: close it: %w", ErrStore, err)
	}
	// The server also closes it by itself, in a goroutine of its own.
	for end := time.Now().Add(storeStop); e.server.JetStreamConfig() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%w: it did not close in %s", ErrStore, storeStop)
		}
	}
	return nil
}

// StartStore opens the streams again after StopStore, as a start of the server would: message ids are then those of
// the messages that are stored, so that what was never stored counts as a duplicate no more. The error wraps ErrStore,
// and the store is stopped then.
func (e *Embedded) StartStore() error {
	if err := forgetBatches(e.options.StoreDir); err != nil {
		return fmt.Errorf("%w: open it: %w", ErrStore, err)
	}
	err := e.server.EnableJetStream(&server.JetStreamConfig{
		StoreDir: e.options.StoreDir, SyncInterval: e.options.SyncInterval, SyncAlways: e.options.SyncAlways,
		MaxMemory: e.options.JetStreamMaxMemory, MaxStore: e.options.JetStreamMaxStore, Strict: !e.options.NoJetStreamStrict,
	})
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%w: open it: %w", ErrStore, err), e.StopStore())
}

// forgetBatches removes what a crash or a failed write left of atomic batches on the intake: messages that nobody has
// an acknowledgement for. Server 2.15.2 would write the rest of such a batch when it opens the store, but before it
// knows the consumers: a stream that keeps messages by interest then drops them and still remembers their ids, so that
// the publisher, who has to send them again, would be told that they are stored. No server may run on the directory.
func forgetBatches(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, server.JetStreamStoreDir, "*", "streams", RawStream, "batches"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return fmt.Errorf("remove the rest of unfinished batches: %w", err)
	}
	return nil
}
