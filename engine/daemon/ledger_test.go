package daemon

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/stream"
)

// However many reasons there are, none is lost from the sum, and those that are known go on counting.
func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLedger()
	for round := range uint64(2) {
		for i := range uint64(maxReasons + 100) {
			tl := newTally(0)
			tl.rejected[fmt.Sprintf("field %d", i)] = 1
			tl.seq = 1 + i + round*(maxReasons+100)
			l.add("xapi", &tl)
		}
		_, _, rejected := l.backendCounts("xapi")
		require.Len(t, rejected, maxReasons+1)
		require.Equal(t, round+1, rejected["field 0"])
		require.Equal(t, 100*(round+1), rejected[otherReasons])
	}
}

// What is published, taken or stored a second time is counted once; what was stored before the run is not its own.
func TestEachPlaceIsBookedOnce(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.begin(stream.Run{ID: "x", After: 10})
	for range 2 {
		tl := newTally(7)
		tl.accepted, tl.ends[transformed] = 3, 3
		l.add("xapi", &tl)
		l.add("caliper", &tl)
		l.routed("xapi", "lrs", 10, 3)
		l.routed("xapi", "lrs", 11, 3)
	}
	for _, backend := range []string{"xapi", "caliper"} {
		accepted, ends, _ := l.backendCounts(backend)
		require.Equal(t, uint64(3), accepted)
		require.Equal(t, map[string]uint64{transformed: 3}, ends)
	}
	require.Equal(t, uint64(3), l.counts("xapi", "lrs").Routed)
}
