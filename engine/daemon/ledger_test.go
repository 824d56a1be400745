package daemon

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many reasons there are, none is lost from the sum, and those that are known go on counting.
func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLedger()
	for round := range 2 {
		for i := range maxReasons + 100 {
			tl := newTally()
			tl.rejected[fmt.Sprintf("field %d", i)] = 1
			l.add("xapi", tl)
		}
		_, _, rejected := l.backendCounts("xapi")
		require.Len(t, rejected, maxReasons+1)
		require.Equal(t, uint64(round+1), rejected["field 0"])
		require.Equal(t, uint64(100*(round+1)), rejected[otherReasons])
	}
}
