package transform

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Bounds of a summary: the input decides how many different names there are.
const (
	maxNames      = 2000
	maxRejections = 1000
	maxInvalid    = 100
	maxNameLength = 256 // bytes
	// OtherNames stands for the names beyond the first 2000.
	OtherNames = "(other names)"
)

// Counts are the outcomes of some events.
type Counts struct {
	Transformed int64 `json:"transformed"`
	Statements  int64 `json:"statements"`
	Unmapped    int64 `json:"unmapped"`
	Filtered    int64 `json:"filtered"`
	Rejected    int64 `json:"rejected"`
}

func (c *Counts) add(o *Counts) {
	c.Transformed += o.Transformed
	c.Statements += o.Statements
	c.Unmapped += o.Unmapped
	c.Filtered += o.Filtered
	c.Rejected += o.Rejected
}

// EventCounts are the outcomes of the events of one name.
type EventCounts struct {
	Name string `json:"name"`
	Counts
}

// Rejection is one reason for which events of one name were refused.
type Rejection struct {
	Name    string `json:"name"`
	Field   string `json:"field,omitempty"`
	Reason  string `json:"reason"`
	Mapping string `json:"mapping,omitempty"` // file:line:column
	Count   int64  `json:"count"`
}

// InvalidLine is a line that holds no event.
type InvalidLine struct {
	Input  string `json:"file"`
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
}

// InputError is the fault of an input that was not read to its end.
type InputError struct {
	Input string
	Err   error
}

// Error implements error.
func (e InputError) Error() string { return e.Input + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e InputError) Unwrap() error { return e.Err }

// MarshalJSON writes input and message.
func (e InputError) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Input string `json:"file"`
		Error string `json:"error"`
	}{e.Input, e.Err.Error()})
}

// Summary is what became of all lines. Lines is the sum of Transformed,
// Unmapped, Filtered, Rejected and Invalid.
type Summary struct {
	Lines int64 `json:"lines"`
	Counts
	Invalid int64 `json:"invalid"`
	// Events holds the counts by name, most frequent first; those beyond 2000
	// names, and of very long ones, are counted under [OtherNames].
	Events []EventCounts `json:"events"`
	// Rejections holds up to 1000 different reasons, most frequent first.
	Rejections []Rejection `json:"rejections"`
	// InvalidLines holds the first 100 invalid lines, in order.
	InvalidLines []InvalidLine `json:"invalid_lines"`
	// Errors holds the inputs that could not be read to their end.
	Errors []InputError `json:"errors"`
	// Interrupted is set when the context ended before the input.
	Interrupted bool `json:"interrupted"`
}

// Clean reports whether all lines were read and none was invalid or rejected.
func (s *Summary) Clean() bool { return s.Complete() && s.Rejected == 0 && s.Invalid == 0 }

// Complete reports whether all lines were read.
func (s *Summary) Complete() bool { return len(s.Errors) == 0 && !s.Interrupted }

// newSummary returns a summary whose lists are empty in JSON, not null.
func newSummary() *Summary {
	return &Summary{Events: []EventCounts{}, Rejections: []Rejection{}, InvalidLines: []InvalidLine{}, Errors: []InputError{}}
}

func (s *Summary) addInvalid(line InvalidLine) {
	if len(s.InvalidLines) < maxInvalid {
		s.InvalidLines = append(s.InvalidLines, line)
	}
}

// fill takes over what the workers counted, and sorts it.
func (s *Summary) fill(t *tally) {
	s.Invalid = t.invalid
	s.Lines = t.invalid
	for name, c := range t.names {
		s.Counts.add(c)
		s.Lines += c.sum()
		s.Events = append(s.Events, EventCounts{name, *c})
	}
	for key, n := range t.rejections {
		s.Rejections = append(s.Rejections, Rejection{Name: key.name, Field: key.field, Reason: key.reason, Mapping: key.mapping, Count: n})
	}
	slices.SortFunc(s.Events, func(a, b EventCounts) int {
		return cmp.Or(cmp.Compare(b.sum(), a.sum()), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.Rejections, func(a, b Rejection) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name), strings.Compare(a.Field, b.Field),
			strings.Compare(a.Reason, b.Reason), strings.Compare(a.Mapping, b.Mapping))
	})
}

func (c *Counts) sum() int64 { return c.Transformed + c.Unmapped + c.Filtered + c.Rejected }

// WriteText writes the summary for people: a table by event name, the reasons
// of rejections and the invalid lines.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	if len(s.Events) > 0 {
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "event\ttransformed\tunmapped\tfiltered\trejected")
		for _, e := range s.Events {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", printable(e.Name), cell(e.Transformed), cell(e.Unmapped), cell(e.Filtered), cell(e.Rejected))
		}
		_ = table.Flush() // into memory
	}
	for _, r := range s.Rejections {
		fmt.Fprintf(&b, "rejected: %d × %s: ", r.Count, printable(r.Name))
		if r.Field != "" {
			fmt.Fprintf(&b, "%s: ", printable(r.Field))
		}
		b.WriteString(printable(r.Reason))
		if r.Mapping != "" {
			fmt.Fprintf(&b, " (%s)", r.Mapping)
		}
		b.WriteByte('\n')
	}
	for _, line := range s.InvalidLines {
		fmt.Fprintf(&b, "invalid: %s:%d: %s\n", line.Input, line.Line, line.Reason)
	}
	if more := s.Invalid - int64(len(s.InvalidLines)); more > 0 {
		fmt.Fprintf(&b, "invalid: %d more\n", more)
	}
	fmt.Fprintf(&b, "%d lines: %d transformed, %d unmapped, %d filtered, %d rejected, %d invalid; statements: %d\n",
		s.Lines, s.Transformed, s.Unmapped, s.Filtered, s.Rejected, s.Invalid, s.Statements)
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// printable keeps a terminal safe from names that an event made up.
func printable(s string) string {
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	if quoted := strconv.Quote(s); quoted[1:len(quoted)-1] != s && !strings.ContainsAny(s, `"\`) {
		return quoted
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// tally is what one worker counts.
type tally struct {
	names      map[string]*Counts
	rejections map[rejectionKey]int64
	invalid    int64
}

type rejectionKey struct {
	name string
	reasons
}

func newTally() *tally {
	return &tally{names: map[string]*Counts{}, rejections: map[rejectionKey]int64{}}
}

// of returns the counts of a name, or those of all other names where there are
// too many already.
func (t *tally) of(name string) *Counts {
	if c := t.names[name]; c != nil {
		return c
	}
	if len(t.names) >= maxNames || len(name) > maxNameLength {
		name = OtherNames
		if c := t.names[name]; c != nil {
			return c
		}
	}
	c := &Counts{}
	t.names[name] = c
	return c
}

func (t *tally) reject(name string, r reasons, n int64) {
	if len(name) > maxNameLength {
		name = OtherNames
	}
	key := rejectionKey{name, r}
	if _, ok := t.rejections[key]; !ok && len(t.rejections) >= maxRejections {
		key = rejectionKey{OtherNames, reasons{reason: "other reasons"}}
	}
	t.rejections[key] += n
}

// merge adds the counts of another worker.
func (t *tally) merge(o *tally) {
	t.invalid += o.invalid
	for name, c := range o.names {
		t.of(name).add(c)
	}
	for key, n := range o.rejections {
		t.reject(key.name, key.reasons, n)
	}
}
