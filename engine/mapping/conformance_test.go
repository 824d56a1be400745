package mapping_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

const settings = `{"lms":{"root_url":"http://localhost:18000"},"transformer_version":"event-routing-backends@1.1.1","xapi":{"actor_id":"external_id"},"caliper":{"extended":false}}`

type corpusCase struct {
	Case, Class string
	Event       json.RawMessage
	XAPI        expectation `json:"xapi"`
	Caliper     expectation `json:"caliper"`
}

type expectation struct {
	Expect     string
	Statements []any
	Reason     string
}

// TestConformance runs the corpus of reference output where CONFORMANCE_DIR names its folder.
func TestConformance(t *testing.T) {
	dir := os.Getenv("CONFORMANCE_DIR")
	if dir == "" {
		t.Log("CONFORMANCE_DIR is not set: the corpus of reference output is not at hand")
		return
	}
	directory := openDirectory(t, filepath.Join(dir, "lms.json"))
	for _, backend := range []string{"xapi", "caliper"} {
		t.Run(backend, func(t *testing.T) {
			sub, err := fs.Sub(mappings.FS, backend)
			require.NoError(t, err)
			set, faults := mapping.Load(sub, mapping.Options{Backend: backend, Settings: settings, Directory: directory})
			require.Empty(t, faults.Render())
			score(t, set, backend, filepath.Join(dir, "events.jsonl.gz"))
		})
	}
}

func openDirectory(t *testing.T, path string) *lookup.Directory {
	source, err := lookup.LoadFile(path)
	require.NoError(t, err)
	directory, err := lookup.NewDirectory(source, lookup.Options{})
	require.NoError(t, err)
	return directory
}

func score(t *testing.T, set *mapping.Set, backend, corpus string) {
	f, err := os.Open(corpus)
	require.NoError(t, err)
	defer f.Close()
	zr, err := gzip.NewReader(f)
	require.NoError(t, err)
	w := set.NewWorker()
	var p event.Parser
	right, all := map[string]int{}, map[string]int{}
	lines := bufio.NewScanner(zr)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var c corpusCase
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		want := c.XAPI
		if backend == "caliper" {
			want = c.Caliper
		}
		all[c.Class]++
		if wrong := judge(w, &p, c.Event, want); wrong == "" {
			right[c.Class]++
		} else if c.Class == "odd" || os.Getenv("CONFORMANCE_QUIET") == "" {
			t.Logf("%s: %s", c.Case, wrong)
		}
	}
	require.NoError(t, lines.Err())
	for class, n := range all {
		t.Logf("%s %s: %d of %d", backend, class, right[class], n)
		least := n
		if class == "odd" {
			least = (n*97 + 99) / 100
		}
		if right[class] < least {
			t.Errorf("%s %s: %d of %d are right, at least %d must be", backend, class, right[class], n, least)
		}
	}
}

func judge(w *mapping.Worker, p *event.Parser, raw json.RawMessage, want expectation) string {
	ev, err := p.Parse(raw)
	if err != nil {
		if want.Expect == "equal" {
			return "not read: " + err.Error()
		}
		return ""
	}
	r := w.Transform(context.Background(), ev)
	var got []any
	for _, s := range r.Statements {
		var v any
		if err := json.Unmarshal(s.JSON, &v); err != nil {
			return "no JSON: " + err.Error() + ": " + string(s.JSON)
		}
		if object, ok := v.(map[string]any); ok && object["@context"] != nil {
			delete(object, "id") // random in the reference
		}
		got = append(got, v)
	}
	switch want.Expect {
	case "equal":
		if r.Outcome != mapping.Transformed {
			if r.Rejection == nil {
				return r.Outcome.String()
			}
			return r.Rejection.Error()
		}
		a, _ := json.Marshal(want.Statements)
		b, _ := json.Marshal(got)
		if string(a) != string(b) {
			return "\n  want " + string(a) + "\n  got  " + string(b)
		}
	case "none", "reject":
		if len(got) > 0 {
			return "unwanted statements (" + want.Reason + ")"
		}
		if want.Expect == "reject" && r.Rejection == nil {
			return "not rejected but " + r.Outcome.String()
		}
	}
	return ""
}
