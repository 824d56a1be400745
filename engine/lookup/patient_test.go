package lookup_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup"
)

func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		b := &backend{err: down}
		p := &lookup.Patient{Source: newCache(t, b, lookup.CacheOptions{}), For: time.Minute}
		time.AfterFunc(10500*time.Millisecond, func() { b.set(nil) })
		start := time.Now()
		u, err := p.User(t.Context(), "7")
		require.NoError(t, err)
		assert.EqualValues(t, 7, u.ID)
		assert.Equal(t, 11*time.Second, time.Since(start))
		assert.Len(t, b.questions(), 12)

		_, err = p.User(t.Context(), "nobody")
		require.ErrorIs(t, err, lookup.ErrNotFound)
		c, err := p.Course(t.Context(), demo)
		require.NoError(t, err)
		assert.Equal(t, demo, c.ID)
		assert.Len(t, b.questions(), 2)

		b.set(down)
		start = time.Now()
		_, err = p.User(t.Context(), "8")
		require.ErrorIs(t, err, down)
		assert.Equal(t, time.Minute, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = p.User(ctx, "9")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
