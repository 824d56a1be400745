//go:build unix

package torture

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// report is what all parts found, printed at the end.
var report figures

// figures are numbers by part and name.
type figures struct {
	mu    sync.Mutex
	parts []string
	lines map[string][]string
}

// add notes a line of a part: a name and what was counted.
func (f *figures) add(part, name string, value any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lines == nil {
		f.lines = map[string][]string{}
	}
	if !slices.Contains(f.parts, part) {
		f.parts = append(f.parts, part)
	}
	f.lines[part] = append(f.lines[part], fmt.Sprintf("%s\t%v", name, value))
}

// counts notes numbers by kind in one line.
func (f *figures) counts(part, name string, counts map[string]int) {
	sum := 0
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		sum += counts[kind]
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	f.add(part, name, fmt.Sprintf("%d: %s", sum, strings.Join(kinds, ", ")))
}

func (f *figures) print(w io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.parts) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "torture, seed %d\n", *seed)
	for _, part := range f.parts {
		fmt.Fprintln(t, part)
		for _, line := range f.lines[part] {
			fmt.Fprintln(t, "  "+line)
		}
	}
	t.Flush() //nolint:errcheck // nobody reads it
}
