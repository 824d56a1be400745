package lookup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/erbd/erbd/engine/diag"
)

// Codes of the diagnostics that [LoadFile] returns.
const (
	CodeFormat    = "lookup-format"    // the file is not of the form described at LoadFile
	CodeDuplicate = "lookup-duplicate" // two entries share a key
	CodeEntry     = "lookup-entry"     // a user or course without a key, or with a malformed one
)

// LoadFile reads users and courses from a file or a folder:
//
//   - *.json: {"users": [{"id": 1, "username": "ada", "email": "ada@example.com",
//     "external_ids": {"xapi": UUID, "caliper": UUID, "lti": UUID}}, …],
//     "courses": [{"id": "course-v1:…", "display_name": "…"}, …]}. It is
//     streamed: a million users take some seconds and 150 MB.
//   - *.yaml, *.yml: the same as YAML, up to 1 MiB.
//   - *.csv: with a header line. The columns id, username, email, xapi, caliper
//     and lti make a file of users; id and display_name make one of courses.
//   - a folder: users.csv and courses.csv in it, at least one of them.
//
// A user needs an id (a number, or its digits as text) or a user name; all else
// may be left out. Members and columns that are not named here are passed over,
// so that exports of data bases fit. Two users must not share an id or a user
// name, nor two courses an id.
//
// The error is a [*diag.Diagnostic] (or several of them, in a [diag.List]) with
// file and, where there is one, position; it tells no user's data.
// errors.Is finds [ErrDuplicate], [ErrNoKey], [ErrBadCourseID], [ErrTooMany]
// and those of the file system.
func LoadFile(path string) (*Table, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	b := newBuilder()
	if info.IsDir() {
		return b.folder(path)
	}
	var load func(string) error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".json":
		load = b.json
	case ".yaml", ".yml":
		load = b.yaml
	case ".csv":
		load = b.csv
	default:
		return nil, &diag.Diagnostic{
			Pos: diag.Position{File: path}, Code: CodeFormat,
			Message: fmt.Sprintf("look-up file of unknown kind %q", ext),
			Hint:    "use .json, .yaml, .csv, or a folder with users.csv and courses.csv",
		}
	}
	if err := load(path); err != nil {
		for _, d := range diag.FromError(err) {
			d.Line = "" // it has the data of a user
		}
		return nil, err
	}
	return b.table(path)
}

// place tells where the entry with this number of its list is.
func place(n int32) string { return fmt.Sprintf("users[%d]", n) }

func (b *builder) folder(path string) (*Table, error) {
	found := false
	for _, name := range [...]string{"users.csv", "courses.csv"} {
		file := filepath.Join(path, name)
		if err := b.csv(file); err == nil {
			found = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if !found {
		return nil, &diag.Diagnostic{
			Pos: diag.Position{File: path}, Code: CodeFormat,
			Message: "folder has neither users.csv nor courses.csv",
			Hint:    "export one of them, or name a .json or .yaml file",
		}
	}
	return b.table(filepath.Join(path, "users.csv"))
}

// table finishes the table; a duplicate is named by its place in the file.
func (b *builder) table(file string) (*Table, error) {
	t, err := b.finish()
	if err == nil {
		return t, nil
	}
	d := &diag.Diagnostic{Pos: diag.Position{File: file}, Code: CodeDuplicate, Message: err.Error(), Err: err}
	if dup := (*duplicateError)(nil); errors.As(err, &dup) {
		if b.lines {
			d.Pos.Line = int(dup.second)
			d.Path = dup.key
			d.Message = fmt.Sprintf("the same %s as in line %d", dup.key, dup.first)
		} else {
			d.Path = place(dup.second) + "." + dup.key
			d.Message = fmt.Sprintf("the same %s as %s", dup.key, place(dup.first))
		}
		d.Hint = "keep one of the two"
	}
	return nil, d
}

func fileError(path string, err error) error {
	cause := err
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		cause = pathErr.Err // the path stands in front
	}
	return &diag.Diagnostic{
		Pos: diag.Position{File: path}, Code: CodeFormat, Message: "cannot read look-up file: " + cause.Error(), Err: err,
	}
}

// entryError explains why a user or course was not taken.
func entryError(pos diag.Position, path string, err error) error {
	d := &diag.Diagnostic{Pos: pos, Path: path, Code: CodeEntry, Err: err}
	switch {
	case errors.Is(err, ErrNoKey):
		d.Message, d.Hint = "entry has no key", "a user needs id or username, a course needs id"
	case errors.Is(err, ErrBadCourseID):
		d.Message, d.Hint = ErrBadCourseID.Error(), "course ids look like course-v1:ORG+COURSE+RUN"
	case errors.Is(err, ErrDuplicate):
		d.Code, d.Message, d.Hint = CodeDuplicate, "the same id as an earlier course", "keep one of the two"
	}
	return d
}
