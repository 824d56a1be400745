package golden

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/mapping"
)

// ErrCI is the error of Update where the environment says CI: there, expectations are given.
var ErrCI = errors.New("cases are not updated under CI=true")

// Update writes what events became into the cases that failed, and marks them Updated. All of a case but its
// expectation stays as it is, comments included; what stands behind expect must be the end of the file. lookupEnv is
// usually os.LookupEnv. Errors: ErrCI, and those of writing.
func Update(s *Summary, lookupEnv func(string) (string, bool)) error {
	if v, _ := lookupEnv("CI"); v != "" && v != "false" && v != "0" {
		return ErrCI
	}
	for i := range s.Results {
		r := &s.Results[i]
		if r.Status != Failed || r.got == nil {
			continue
		}
		src, err := r.Case.with(expectation(r.got))
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.File, src, 0o644); err != nil {
			return fmt.Errorf("update case: %w", err)
		}
		s.Counts[Failed]--
		s.Counts[Updated]++
		r.Status, r.Message, r.Diffs, r.Refused = Updated, "", nil, nil
	}
	return nil
}

// with is the source of the case with another expectation.
func (c *Case) with(expectation []byte) ([]byte, error) {
	head := c.source
	if c.expect != nil {
		lines := bytes.SplitAfter(c.source, []byte("\n"))
		at := c.expect.Key.Pos()
		if at.Column != 1 {
			return nil, fmt.Errorf("%s: cannot update the case: expect must stand at the begin of a line", at)
		}
		head = bytes.Join(lines[:at.Line-1], nil)
		if end := c.expect.Value.End(); len(bytes.TrimSpace(bytes.Join(lines[min(end.Line, len(lines)):], nil))) > 0 {
			return nil, fmt.Errorf("%s: cannot update the case: expect must be the last part of the file", at)
		}
	}
	if n := len(head); n > 0 && head[n-1] != '\n' {
		head = append(bytes.Clone(head), '\n')
	}
	return append(bytes.Clone(head), expectation...), nil
}

// expectation writes what an event became.
func expectation(o *outcome) []byte {
	switch o.Outcome {
	case mapping.Unmapped:
		return []byte("expect: " + unmapped + "\n")
	case mapping.Rejected:
		return []byte("expect:\n  rejected:\n    field: " + yamlText(o.rejection.Field) + "\n    reason: " + yamlText(o.rejection.Reason) + "\n")
	}
	dst := []byte("expect:\n")
	for _, s := range o.statements {
		dst = appendBlock(append(dst, "  - "...), gjson.ParseBytes(s), 4, false)
	}
	return dst
}
