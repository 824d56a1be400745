package lookup

import (
	"context"
	"errors"
)

// ErrClosed: the cache or source was closed. It is transient as all errors but [ErrNotFound] are.
var ErrClosed = errors.New("look-ups are closed")

// Answer is what a [Backend] knows about one key.
type Answer[T any] struct {
	// Value is what was found; nil with a nil Err means that the key is unknown.
	Value *T
	// Err is a transient fault of this key alone.
	Err error
}

// Backend answers many keys in one go; a [Cache] makes a [Source] of it. What a
// backend does not answer is unknown. It may answer further keys by which the
// same user is found. An error is transient and answers none of the keys; its
// text must not hold keys or what was found. Implementations are safe for
// concurrent use and keep the rules of [Source] for keys.
type Backend interface {
	Users(ctx context.Context, keys []string) (map[string]Answer[User], error)
	Courses(ctx context.Context, ids []string) (map[string]Answer[Course], error)
}

// UserID returns the id that a key stands for: up to 18 ASCII digits.
func UserID(key string) (int64, bool) { return userID(key) }
