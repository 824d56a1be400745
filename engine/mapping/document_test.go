package mapping_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/expr"
	"github.com/erbd/erbd/engine/mapping"
)

const document = "../../docs/mapping-language.md"

var fence = regexp.MustCompile("(?ms)^```(yaml|json event|json statement)\n(.*?)^```$")

// TestLanguageDocument loads all examples of the language's documentation and transforms their events.
func TestLanguageDocument(t *testing.T) {
	src, err := os.ReadFile(document)
	require.NoError(t, err)
	if *update {
		src = []byte(withFunctions(t, string(src)))
		require.NoError(t, os.WriteFile(document, src, 0o644))
	}
	require.Equal(t, withFunctions(t, string(src)), string(src), "the functions have changed: run the test with -update")

	var set *mapping.Set
	var files, event string
	examples := 0
	for _, block := range fence.FindAllStringSubmatch(string(src), -1) {
		switch kind, text := block[1], block[2]; kind {
		case "yaml":
			if event != "" {
				files, event = "", ""
			}
			files += exampleFile(text)
		case "json event":
			event = text
			set = load(t, files)
		case "json statement":
			want := strings.Split(strings.TrimSpace(text), "\n")
			got := strings.Split(statements(t, set, strings.TrimSpace(event)), "\n")
			require.Len(t, got, len(want), "%s", files)
			for i := range want {
				require.JSONEq(t, want[i], got[i])
			}
			examples++
		}
	}
	require.Greater(t, examples, 10)
}

// exampleFile is an example as a file: parts of mappings get a head and an event.
func exampleFile(text string) string {
	name := "example.yaml"
	if first, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(first, "# ") {
		name = strings.TrimPrefix(first, "# ")
	}
	if strings.Contains(text, "\nfilters:") {
		name = "filters/" + name
	}
	if !strings.Contains(text, "version:") {
		if !strings.Contains(text, "events:") {
			text = "events: {example: null}\n" + text
		}
		text = head + text
	}
	return "-- " + name + " --\n" + text
}

// withFunctions is the document with the function library as it is now.
func withFunctions(t *testing.T, doc string) string {
	before, rest, ok := strings.Cut(doc, "<!-- functions:")
	require.True(t, ok)
	marker, rest, ok := strings.Cut(rest, "-->\n")
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, "<!-- end of functions -->")
	require.True(t, ok)
	var b strings.Builder
	b.WriteString(before + "<!-- functions:" + marker + "-->\n")
	group := ""
	for _, fn := range expr.Functions() {
		if strings.HasPrefix(fn.Name, "@") {
			continue
		}
		if fn.Group != group {
			group = fn.Group
			fmt.Fprintf(&b, "\n### %s\n", group)
		}
		fmt.Fprintf(&b, "\n`%s`\n\n%s\n\n    %s\n    → %s\n", fn.Signature(), fn.Doc, fn.Example, fn.Gives)
	}
	b.WriteString("\n<!-- end of functions -->" + after)
	return b.String()
}
