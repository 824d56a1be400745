package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/erbd/erbd/engine/diag"
)

// Finding is a diagnostic as programs read it.
type Finding struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line,omitempty"`
	EndColumn int    `json:"end_column,omitempty"`
	Severity  string `json:"severity"`
	Code      string `json:"code"`
	Path      string `json:"path,omitempty"`
	Message   string `json:"message"`
	Hint      string `json:"hint,omitempty"`
}

// WriteJSON writes the findings as a JSON list.
func WriteJSON(w io.Writer, faults diag.List) error {
	list := make([]Finding, len(faults))
	for i, d := range faults {
		list[i] = Finding{d.Pos.File, d.Pos.Line, d.Pos.Column, d.End.Line, d.End.Column, d.Severity.String(), d.Code, d.Path, d.Message, d.Hint}
	}
	return encode(w, list)
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// WriteSARIF writes the findings in the Static Analysis Results Interchange Format 2.1.0, which code hosts read.
func WriteSARIF(w io.Writer, faults diag.List) error {
	type text struct {
		Text string `json:"text"`
	}
	type rule struct {
		ID    string `json:"id"`
		Short text   `json:"shortDescription"`
	}
	type region struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndLine     int `json:"endLine,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
	type artifact struct {
		URI string `json:"uri"`
	}
	type physical struct {
		Artifact artifact `json:"artifactLocation"`
		Region   *region  `json:"region,omitempty"`
	}
	type location struct {
		Physical physical `json:"physicalLocation"`
	}
	type result struct {
		RuleID    string     `json:"ruleId"`
		Level     string     `json:"level"`
		Message   text       `json:"message"`
		Locations []location `json:"locations"`
	}
	type driver struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	}
	type tool struct {
		Driver driver `json:"driver"`
	}
	type run struct {
		Tool    tool     `json:"tool"`
		Columns string   `json:"columnKind"`
		Results []result `json:"results"`
	}
	levels := map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Info: "note"}
	r := run{Tool: tool{driver{Name: "mapcheck", Rules: []rule{}}}, Columns: "unicodeCodePoints", Results: []result{}}
	known := map[string]string{}
	for _, c := range Codes() {
		known[c[0]] = c[1]
	}
	seen := map[string]bool{}
	for _, d := range faults {
		if !seen[d.Code] {
			seen[d.Code] = true
			what := known[d.Code]
			if what == "" {
				what = d.Code
			}
			r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, rule{d.Code, text{what}})
		}
		message := d.Message
		if message == "" && d.Err != nil {
			message = d.Err.Error()
		}
		if d.Hint != "" {
			message = fmt.Sprintf("%s (%s)", message, d.Hint)
		}
		p := physical{Artifact: artifact{filepath.ToSlash(d.Pos.File)}}
		if d.Pos.IsValid() {
			p.Region = &region{d.Pos.Line, d.Pos.Column, d.End.Line, d.End.Column}
		}
		r.Results = append(r.Results, result{d.Code, levels[d.Severity], text{message}, []location{{p}}})
	}
	return encode(w, struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []run{r}})
}
