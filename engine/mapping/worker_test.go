package mapping_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWorkersShareASet transforms the same events by many workers of one Set at once.
func TestWorkersShareASet(t *testing.T) {
	for _, s := range allShipped() {
		t.Run(s.name, func(t *testing.T) {
			require.Empty(t, s.fault)
			var sources []string
			for _, name := range s.set.Names() {
				for i, src := range benchEvents {
					sources = append(sources, strings.Replace(src, fmt.Sprintf("%q", i), fmt.Sprintf("%q", name), 1))
				}
			}
			want := outcomes(t, s.set, sources, 0)
			const workers = 8
			var wg sync.WaitGroup
			got := make([][]string, workers)
			for i := range workers {
				wg.Go(func() { got[i] = outcomes(t, s.set, sources, i*7) })
			}
			wg.Wait()
			for i := range workers {
				require.Equal(t, want, got[i])
			}
		})
	}
}

// outcomes describes what becomes of each event, beginning somewhere in the list.
func outcomes(t *testing.T, set *mapping.Set, sources []string, begin int) []string {
	w := set.NewWorker()
	var p event.Parser
	out := make([]string, len(sources))
	for i := range sources {
		at := (i + begin) % len(sources)
		ev, err := p.Parse([]byte(sources[at]))
		if err != nil {
			out[at] = err.Error()
			continue
		}
		r := w.Transform(t.Context(), ev)
		out[at] = r.Outcome.String()
		if r.Rejection != nil {
			out[at] += " " + r.Rejection.Error()
		}
		for _, s := range r.Statements {
			out[at] += "\n" + s.ID + " " + string(s.JSON)
		}
	}
	return out
}

// TestWorkerIsReusable sees that nothing of an event is left over for the next one.
func TestWorkerIsReusable(t *testing.T) {
	set := load(t, `
events: {e: null}
let: {v: '${get("data.v")}', w: 'x${v}'}
statement: {v: "${v}", w: "${w}", r: '${get("data.r") == 1 ? require("data.no") : null}'}
children: {for_each: '${get("data.list")}', statement: {item: "${item}"}}
`)
	w := set.NewWorker()
	var p event.Parser
	for range 3 {
		for source, want := range map[string]string{
			`{"name":"e","data":{"v":"a","list":["1","2"]}}`:        `{"v":"a","w":"xa"} {"v":"a","w":"xa","item":"1"} {"v":"a","w":"xa","item":"2"}`,
			`{"name":"e","data":{"v":"bbbbbbbbbbbbbbbbbbbbbbbbb"}}`: `{"v":"bbbbbbbbbbbbbbbbbbbbbbbbb","w":"xbbbbbbbbbbbbbbbbbbbbbbbbb"}`,
			`{"name":"e","data":{"v":"c","list":[1],"r":1}}`:        ``,
			`{"name":"other"}`:            ``,
			`{"name":"e","data":{"v":1}}`: `{"v":1,"w":"x1"}`,
		} {
			ev, err := p.Parse([]byte(source))
			require.NoError(t, err)
			r := w.Transform(t.Context(), ev)
			var got []string
			for _, s := range r.Statements {
				got = append(got, string(s.JSON))
			}
			require.Equal(t, want, strings.Join(got, " "))
		}
	}
}
