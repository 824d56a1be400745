package stream

import "errors"

// Errors of the package, for errors.Is.
var (
	// ErrName: a name cannot stand in a subject.
	ErrName = errors.New("unusable name")
	// ErrFrame: the bytes of a message are not what its headers promise.
	ErrFrame = errors.New("unreadable message")
	// ErrLocked: another erbd uses the store directory.
	ErrLocked = errors.New("store directory is in use")
	// ErrOptions: settings that cannot work.
	ErrOptions = errors.New("unusable NATS settings")
	// ErrNoJetStream: the server has no JetStream for this account.
	ErrNoJetStream = errors.New("jetstream is not available")
	// ErrServerTooOld: the server lacks what erbd needs.
	ErrServerTooOld = errors.New("nats server is too old")
	// ErrIncompatible: a stream or consumer of that name exists and cannot be made what erbd needs.
	ErrIncompatible = errors.New("exists with other settings")
	// ErrFull: the stream, or the subject's share of it, is full; publish again later.
	ErrFull = errors.New("stream is full")
	// ErrTooLarge: the message is over the server's or the stream's limit.
	ErrTooLarge = errors.New("message is too large")
	// ErrNoStream: no stream takes the subject.
	ErrNoStream = errors.New("no stream takes the subject")
	// ErrStore: the store of the embedded server cannot be written.
	ErrStore = errors.New("the store of the message server fails")
	// ErrWorker: a worker's settings cannot work.
	ErrWorker = errors.New("unusable worker settings")

	// errSilence: the server did not answer.
	errSilence = errors.New("the server does not answer")
	// errUnsent: a statement has no outcome yet.
	errUnsent = errors.New("not sent yet")
)
