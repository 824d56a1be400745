package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/golden"
)

// readEvent reads one event: JSON, possibly over several lines, a line of a log, or a golden case. "-" is standard
// input. It returns the line, and the case where it was one.
func (a *app) readEvent(name string) ([]byte, *golden.Case, error) {
	if name != "-" {
		if c := a.caseAt(name); c != nil {
			return c.Line, c, nil
		}
	}
	var src []byte
	var err error
	if name == "-" {
		src, err = io.ReadAll(io.LimitReader(a.stdin, int64(event.DefaultLimits.MaxBytes)+1))
	} else {
		src, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read event: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, bytes.TrimPrefix(src, []byte("\ufeff"))); err == nil {
		return compact.Bytes(), nil, nil
	}
	lines := bytes.Split(bytes.TrimSpace(src), []byte("\n"))
	if len(lines) > 1 {
		return nil, nil, cli.Fail(fmt.Errorf("%s holds %d lines, which are not one event", name, len(lines)), `take one line of it: "sed -n 7p FILE | mapcheck COMMAND -"`)
	}
	return lines[0], nil, nil
}

// caseAt is the golden case at a path, or nil.
func (a *app) caseAt(path string) *golden.Case {
	cases, _, err := golden.Discover(a.golden, golden.Selection{Patterns: []string{path}})
	if err != nil || len(cases) != 1 {
		return nil
	}
	return cases[0]
}

// parseEvent reads the line of an event.
func parseEvent(line []byte) (event.Event, error) {
	ev, err := event.NewParser(event.Limits{}).Parse(line)
	if errors.Is(err, event.ErrNoName) {
		return ev, cli.Fail(err, "an event has a name, such as play_video")
	}
	if err != nil {
		return ev, fmt.Errorf("read event: %w", err)
	}
	return ev, nil
}

// settings are those of a file such as erbd.yaml, with the look-up file of the command line.
func (a *app) settings(file, lookup string) (*config.Settings, error) {
	src := config.Sources{File: file}
	if lookup != "" {
		src.Set = append(src.Set, config.Assignment{Key: "lookup.type", Value: config.LookupFile, Source: "--lookup"}, config.Assignment{Key: "lookup.path", Value: lookup, Source: "--lookup"})
	}
	s, faults := config.Load(src)
	if faults.HasErrors() {
		return nil, cli.Faulty("the settings", faults)
	}
	return s, nil
}
