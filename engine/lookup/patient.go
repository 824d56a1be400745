package lookup

import (
	"context"
	"errors"
	"time"
)

// Patient is a [Source] that tries again when another one fails, for those who
// cannot come back to an event later. Safe for concurrent use if the source is.
type Patient struct {
	Source Source
	// For is how long a look-up is tried before its failure is returned.
	For time.Duration
	// Between is the time between two tries; 0 means a second.
	Between time.Duration
}

// User implements [Source].
func (p *Patient) User(ctx context.Context, key string) (*User, error) {
	return retry(ctx, p, func() (*User, error) { return p.Source.User(ctx, key) })
}

// Course implements [Source].
func (p *Patient) Course(ctx context.Context, id string) (*Course, error) {
	return retry(ctx, p, func() (*Course, error) { return p.Source.Course(ctx, id) })
}

func retry[T any](ctx context.Context, p *Patient, look func() (*T, error)) (*T, error) {
	found, err := look()
	if !again(err) {
		return found, err
	}
	between := p.Between
	if between <= 0 {
		between = time.Second
	}
	for end := time.Now().Add(p.For); again(err) && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(between):
		}
		found, err = look()
	}
	return found, err
}

// again reports whether a look-up that failed may succeed later.
func again(err error) bool {
	return err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrClosed)
}
