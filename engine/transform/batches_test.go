package transform

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func joined(dst []byte, lines [][]byte) []byte { return append(dst, bytes.Join(lines, []byte("+"))...) }

func TestBatches(t *testing.T) {
	for _, c := range []struct {
		size   int
		writes []string
		want   string
	}{
		{1, []string{"a\nb\n"}, "a\nb\n"},
		{2, []string{"a\nb\nc\n"}, "a+b\nc\n"},
		{3, []string{"a\n", "b\n", "c\nd\n"}, "a+b+c\nd\n"},
		{2, []string{"a", "a\nb", "\nc\n"}, "aa+b\nc\n"},
		{5, nil, ""},
		{2, []string{"a\nb\n"}, "a+b\n"},
	} {
		var out bytes.Buffer
		b := NewBatches(&out, c.size, joined)
		for _, w := range c.writes {
			n, err := b.Write([]byte(w))
			require.NoError(t, err)
			assert.Equal(t, len(w), n)
		}
		require.NoError(t, b.Flush())
		require.NoError(t, b.Flush())
		assert.Equal(t, c.want, out.String(), "%d %q", c.size, c.writes)
	}
}

func TestBatchesLarge(t *testing.T) {
	var out bytes.Buffer
	b := NewBatches(&out, 2, joined)
	big := strings.Repeat("x", maxRecycled)
	for range 3 {
		_, err := b.Write([]byte(big + "\n"))
		require.NoError(t, err)
	}
	require.NoError(t, b.Flush())
	assert.Equal(t, big+"+"+big+"\n"+big+"\n", out.String())
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestBatchesReportFaults(t *testing.T) {
	broken := errors.New("broken")
	b := NewBatches(brokenWriter{broken}, 2, joined)
	_, err := b.Write([]byte("a\n"))
	require.NoError(t, err)
	_, err = b.Write([]byte("b\nc\n"))
	require.ErrorIs(t, err, broken)
}
