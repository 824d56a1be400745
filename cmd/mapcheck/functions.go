package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/expr"
)

func newFunctionsCmd(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "functions [WORD…]",
		Short:   "List the functions of the mapping language",
		Long:    "functions lists the functions that expressions may use, with signature, meaning and an\nexample. WORD is a part of a name or of a group, such as text or number.",
		Example: "  mapcheck functions\n  mapcheck functions seconds\n  mapcheck functions --output json",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			list := functions(args)
			if len(list) == 0 {
				var names []string
				for _, fn := range functions(nil) {
					names = append(names, fn.Name)
				}
				err := errors.New("no function is called so: " + strings.Join(args, " "))
				if hint := diag.DidYouMean(args[0], names); hint != "" {
					return cli.Fail(err, hint)
				}
				return cli.Fail(err, `"mapcheck functions" lists all of them`)
			}
			if output == "json" {
				return a.functionsJSON(list)
			}
			var b strings.Builder
			group := ""
			for _, fn := range list {
				if fn.Group != group {
					if group != "" {
						b.WriteByte('\n')
					}
					group = fn.Group
					b.WriteString(group + "\n")
				}
				fmt.Fprintf(&b, "\n  %s\n", fn.Signature())
				for _, line := range wrap(fn.Doc, 84) {
					b.WriteString("      " + line + "\n")
				}
				fmt.Fprintf(&b, "      %s\n        = %s\n", fn.Example, fn.Gives)
			}
			_, err := fmt.Fprint(a.stdout, b.String())
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "form of the list: text or json")
	return cmd
}

// functions lists those whose name or group has one of the words.
func functions(words []string) (list []*expr.Function) {
	for _, fn := range expr.Functions() {
		if strings.HasPrefix(fn.Name, "@") {
			continue
		}
		chosen := len(words) == 0
		for _, w := range words {
			w = strings.ToLower(w)
			chosen = chosen || strings.Contains(fn.Name, w) || strings.Contains(strings.ToLower(fn.Group), w)
		}
		if chosen {
			list = append(list, fn)
		}
	}
	return list
}

func (a *app) functionsJSON(list []*expr.Function) error {
	type function struct {
		Name      string          `json:"name"`
		Group     string          `json:"group"`
		Signature string          `json:"signature"`
		Doc       string          `json:"doc"`
		Example   string          `json:"example"`
		Gives     json.RawMessage `json:"gives"`
	}
	out := make([]function, len(list))
	for i, fn := range list {
		out[i] = function{fn.Name, fn.Group, fn.Signature(), fn.Doc, fn.Example, json.RawMessage(fn.Gives)}
	}
	return a.json(out)
}

// json writes a value as indented JSON.
func (a *app) json(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// wrap breaks text into lines.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
