package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/erbd/erbd/engine/yamldoc"
)

// assign sets a key from a text, as flags and environment variables have it.
func (s *Settings) assign(k *keyField, text string) error {
	v := reflect.ValueOf(s).Elem().FieldByIndex(k.index)
	switch k.Type {
	case TypeBool:
		b, err := parseBool(text)
		if err != nil {
			return err
		}
		v.SetBool(b)
	case TypeInt:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return errors.New("expected an integer")
		}
		v.SetInt(int64(n))
	case TypeSize:
		size, err := ParseSize(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(size))
	case TypeDuration:
		d, err := parseDuration(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(d))
	case TypeList:
		list, err := parseList(text)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(list))
	case TypeSecret:
		secret, err := NewSecret(text, "")
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(secret))
	default:
		v.SetString(text)
	}
	return nil
}

// parseBool reads true and false, also as Python, shells and people write them.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, errors.New("expected true or false")
}

// parseDuration reads 30s, 1h30m and the like; a bare number means seconds.
func parseDuration(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if ns := math.Round(seconds * float64(time.Second)); math.Abs(ns) < math.MaxInt64 {
			return time.Duration(ns), nil
		}
		return 0, errors.New("duration is too long")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("not a duration: write it like 30s, 5m or 1h30m, or as a number of seconds")
	}
	return d, nil
}

// parseList reads texts parted by commas, or a list in JSON, YAML or Python
// between square brackets. The empty text is the empty list.
func parseList(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	list := []string{}
	if !strings.HasPrefix(text, "[") {
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	}
	doc, faults := yamldoc.Parse("", []byte(text))
	if faults.HasErrors() {
		return nil, fmt.Errorf(`not a list: write a,b or ["a", "b"]: %s`, faults[0].Message)
	}
	if faults := yamldoc.Decode(doc.Root, &list); faults.HasErrors() {
		return nil, fmt.Errorf(`not a list of strings: write ["a", "b"]: %s`, faults[0].Message)
	}
	return list, nil
}
