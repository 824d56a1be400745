package daemon

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var p places
	known := map[uint64]bool{}
	for range 20_000 {
		seq := 1 + rng.Uint64N(5000)
		require.Equal(t, !known[seq], p.add(seq), seq)
		known[seq] = true
	}
	for seq := range uint64(5000) {
		p.add(seq + 1)
	}
	require.Equal(t, []span{{1, 5000}}, p.spans)
}

// Of what is far behind only the end is known.
func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	var p places
	const last = 2 * 2 * (maxSpans + 10)
	for seq := uint64(2); seq <= last; seq += 2 {
		require.True(t, p.add(seq))
		require.LessOrEqual(t, len(p.spans), 2*maxSpans)
	}
	require.False(t, p.add(3), "among the lowest, which are taken for one")
	require.True(t, p.add(last-1))
	require.False(t, p.add(last-1))
}
