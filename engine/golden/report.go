package golden

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// WriteText writes failed cases with their differences, and a last line with the counts; with verbose all cases.
func (s *Summary) WriteText(w io.Writer, verbose bool) error {
	var b strings.Builder
	for i := range s.Results {
		r := &s.Results[i]
		if r.Status == Passed && !verbose {
			continue
		}
		fmt.Fprintf(&b, "%-6s %s", statusWords[r.Status], r.Name)
		if verbose {
			fmt.Fprintf(&b, " (%s)", r.Duration.Round(time.Microsecond))
		}
		b.WriteByte('\n')
		for _, line := range r.explain() {
			b.WriteString("  " + line + "\n")
		}
	}
	for _, d := range s.Faults {
		b.WriteString(d.Render() + "\n")
	}
	fmt.Fprintf(&b, "%s: %d passed", plural(len(s.Results), "case"), s.Counts[Passed])
	for _, status := range []Status{Failed, Errored, Updated} {
		if n := s.Counts[status]; n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, countWords[status])
		}
	}
	fmt.Fprintf(&b, " (%s)\n", s.Duration.Round(time.Millisecond))
	_, err := io.WriteString(w, b.String())
	return err
}

var (
	statusWords = map[Status]string{Passed: "ok", Failed: "FAIL", Errored: "ERROR", Updated: "update"}
	countWords  = map[Status]string{Failed: "failed", Errored: "could not run", Updated: "updated"}
)

// explain says in lines what is wrong.
func (r *Result) explain() (lines []string) {
	if r.Message != "" {
		lines = append(lines, r.Message)
	}
	if j := r.Refused; j != nil {
		if w := r.Case.Want; w != nil && w.Rejected != nil {
			lines = append(lines, "want "+w.Rejected.Field+": "+w.Rejected.Reason, "got  "+j.Field+": "+j.Reason)
		} else {
			lines = append(lines, j.Field+": "+j.Reason)
		}
		lines = append(lines, "from "+j.Pos.String())
	}
	for _, d := range r.Diffs {
		lines = append(lines, d.lines()...)
	}
	return lines
}

func (d *Diff) lines() []string {
	value := func(json string) string {
		if json == "" {
			return "(nothing)"
		}
		return shorten(json, 400)
	}
	lines := []string{d.Path, "  want " + value(d.Want) + "  (" + d.At.String() + ")", "  got  " + value(d.Got)}
	for i, s := range d.From {
		word := "  from "
		if i > 0 {
			word = "       "
		}
		lines = append(lines, word+s.Pos.String()+": "+shorten(oneLine(s.Text), 160))
	}
	if len(d.From) == 0 {
		lines = append(lines, "  no line of the mapping writes it")
	}
	return lines
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func shorten(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

// WriteJSON writes the summary as one JSON object.
func (s *Summary) WriteJSON(w io.Writer) error {
	type rejection struct {
		Field  string `json:"field"`
		Reason string `json:"reason"`
		Pos    any    `json:"pos"`
	}
	type result struct {
		Result
		Rejection *rejection `json:"rejection,omitempty"`
		Seconds   float64    `json:"seconds"`
	}
	out := struct {
		Cases   int            `json:"cases"`
		Counts  map[Status]int `json:"counts"`
		Seconds float64        `json:"seconds"`
		Results []result       `json:"results"`
		Faults  []string       `json:"faults,omitempty"`
	}{Cases: len(s.Results), Counts: s.Counts, Seconds: s.Duration.Seconds(), Results: []result{}}
	for _, r := range s.Results {
		x := result{Result: r, Seconds: r.Duration.Seconds()}
		if r.Refused != nil {
			x.Rejection = &rejection{r.Refused.Field, r.Refused.Reason, r.Refused.Pos}
		}
		out.Results = append(out.Results, x)
	}
	for _, d := range s.Faults {
		out.Faults = append(out.Faults, d.Error())
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// WriteJUnit writes the summary in the form that CI systems read: a suite for each event.
func (s *Summary) WriteJUnit(w io.Writer) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		File    string   `xml:"file,attr"`
		Time    string   `xml:"time,attr"`
		Failure *failure `xml:"failure,omitempty"`
		Error   *failure `xml:"error,omitempty"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	out := struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []*suite `xml:"testsuite"`
	}{Tests: len(s.Results), Failures: s.Counts[Failed], Errors: s.Counts[Errored], Time: seconds(s.Duration)}
	for i := range s.Results {
		r := &s.Results[i]
		group := path.Dir(r.Name)
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != group {
			out.Suites = append(out.Suites, &suite{Name: group})
		}
		last := out.Suites[len(out.Suites)-1]
		last.Tests++
		c := testcase{Class: group, Name: path.Base(r.Name), File: r.File, Time: seconds(r.Duration)}
		lines := r.explain()
		f := &failure{Text: strings.Join(lines, "\n")}
		if len(lines) > 0 {
			f.Message = lines[0]
		}
		switch r.Status {
		case Failed:
			last.Failures++
			c.Failure = f
		case Errored:
			last.Errors++
			c.Error = f
		}
		last.Cases = append(last.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
