package main

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// momentFlag is a time, written as one or as how long ago it was.
type momentFlag struct {
	time.Time
	text string
}

func (m *momentFlag) String() string { return m.text }
func (m *momentFlag) Type() string   { return "time" }
func (m *momentFlag) Set(s string) error {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			m.Time, m.text = t, s
			return nil
		}
	}
	age, err := parseAge(s)
	if err != nil {
		return errors.New("expected a time such as 2026-01-31 or 2026-01-31T12:00:00Z (UTC where there is no zone), or an age such as 12h or 7d")
	}
	m.Time, m.text = time.Now().Add(-age), s
	return nil
}

// ageFlag is a length of time in which days may stand.
type ageFlag struct {
	age  time.Duration
	text string
}

func (f *ageFlag) String() string { return f.text }
func (f *ageFlag) Type() string   { return "age" }
func (f *ageFlag) Set(s string) (err error) {
	f.text = s
	f.age, err = parseAge(s)
	return err
}

// ageText is weeks, days, and what a duration of Go may be.
var ageText = regexp.MustCompile(`^(?:(\d{1,4})w)?(?:(\d{1,5})d)?(.*)$`)

// parseAge reads 30d, 2w, 12h, 1d12h.
func parseAge(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	part := ageText.FindStringSubmatch(s)
	if part == nil { // line breaks
		return 0, errAge
	}
	weeks, _ := strconv.Atoi(part[1]) // digits or nothing
	days, _ := strconv.Atoi(part[2])
	age := time.Duration(weeks)*7*day + time.Duration(days)*day
	if part[3] != "" {
		rest, err := time.ParseDuration(part[3])
		if err != nil {
			return 0, errAge
		}
		age += rest
	}
	if age <= 0 {
		return 0, errAge
	}
	return age, nil
}

var errAge = errors.New("expected an age above 0 such as 30d, 2w or 12h")
