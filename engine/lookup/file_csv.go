package lookup

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/plainfile"
)

// csvFile reads one file; columns holds the index of each known column.
type csvFile struct {
	path    string
	r       *csv.Reader
	columns map[string]int
}

func (b *builder) csv(path string) error {
	f, err := plainfile.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<18)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	c := &csvFile{path: path, r: csv.NewReader(in), columns: map[string]int{}}
	c.r.ReuseRecord = true
	header, err := c.r.Read()
	if errors.Is(err, io.EOF) {
		return c.diag(1, 0, CodeFormat, "file is empty", "the first line names the columns: id,username,email,xapi,caliper,lti or id,display_name")
	}
	if err != nil {
		return c.fault(err)
	}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := c.columns[name]; twice && slices.Contains(knownColumns, name) {
			_, column := c.r.FieldPos(i)
			return c.diag(1, column, CodeFormat, "the column "+name+" comes twice", "remove one of the two, or give it another name")
		}
		c.columns[name] = i
	}
	_, course := c.columns["display_name"]
	_, id := c.columns["id"]
	_, username := c.columns["username"]
	switch {
	case course && id && !username:
		return c.records(b.csvCourse)
	case !course && (id || username):
		b.lines = true
		return c.records(b.csvUser)
	}
	return c.diag(1, 0, CodeFormat, "header names neither users nor courses", "users have the columns id,username,email,xapi,caliper,lti, courses id,display_name"+suggestColumns(header))
}

// knownColumns are those that are read; others are passed over.
var knownColumns = []string{"id", "username", "email", TypeXAPI, TypeCaliper, TypeLTI, "display_name"}

func suggestColumns(header []string) string {
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		known := []string{"id", "username", "display_name"}
		if slices.Contains(known, name) {
			continue
		}
		if s := diag.Suggest(name, known); s != "" {
			return "; is a column meant to be " + s + "?"
		}
	}
	return ""
}

func (c *csvFile) records(add func(c *csvFile, record []string, line int) error) error {
	for {
		record, err := c.r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.fault(err)
		}
		line, _ := c.r.FieldPos(0)
		for _, name := range knownColumns {
			if i, ok := c.columns[name]; ok && !utf8.ValidString(record[i]) {
				line, column := c.r.FieldPos(i)
				return c.diag(line, column, CodeFormat, name+" is not valid utf-8", "save the file in the encoding UTF-8")
			}
		}
		if err := add(c, record, line); err != nil {
			return err
		}
	}
}

func (c *csvFile) get(record []string, column string) string {
	i, ok := c.columns[column]
	if !ok {
		return ""
	}
	return strings.TrimSpace(record[i])
}

func (b *builder) csvUser(c *csvFile, record []string, line int) error {
	u := User{Username: c.get(record, "username"), Email: c.get(record, "email"), ExternalIDs: map[string]string{}}
	if text := c.get(record, "id"); text != "" {
		var ok bool
		if u.ID, ok = userID(text); !ok {
			_, column := c.r.FieldPos(c.columns["id"])
			return c.diag(line, column, CodeFormat, errAccountID.Error(), "use the number of the account")
		}
	}
	for _, kind := range [...]string{TypeXAPI, TypeCaliper, TypeLTI} {
		if id := c.get(record, kind); id != "" {
			u.ExternalIDs[kind] = id
		}
	}
	if err := b.user(&u, int32(min(line, math.MaxInt32))); err != nil {
		return entryError(diag.Position{File: c.path, Line: line}, "", err)
	}
	return nil
}

func (b *builder) csvCourse(c *csvFile, record []string, line int) error {
	if err := b.course(Course{ID: c.get(record, "id"), DisplayName: c.get(record, "display_name")}); err != nil {
		return entryError(diag.Position{File: c.path, Line: line}, "", err)
	}
	return nil
}

func (c *csvFile) fault(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return fileError(c.path, err)
	}
	return c.diag(parse.Line, parse.Column, CodeFormat, parse.Err.Error(), "each line needs as many fields as the header, with commas and quotes inside a field quoted")
}

func (c *csvFile) diag(line, column int, code, message, hint string) error {
	return &diag.Diagnostic{Pos: diag.Position{File: c.path, Line: line, Column: column}, Code: code, Message: message, Hint: hint}
}
