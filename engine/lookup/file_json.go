package lookup

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/plainfile"
)

// accountID is a number or its digits as text.
type accountID int64

func (id *accountID) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	n, ok := userID(string(bytes.Trim(raw, `"`)))
	if !ok {
		return errAccountID
	}
	*id = accountID(n)
	return nil
}

var errAccountID = errors.New("id is not a whole number")

type userEntry struct {
	ID          accountID         `json:"id"`
	Username    string            `json:"username"`
	Email       string            `json:"email"`
	ExternalIDs map[string]string `json:"external_ids"`
}

func (e *userEntry) user() *User {
	for kind, id := range e.ExternalIDs {
		if id == "" {
			delete(e.ExternalIDs, kind)
		}
	}
	return &User{int64(e.ID), e.Username, e.Email, e.ExternalIDs}
}

type courseEntry struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
}

// jsonFile reads one file entry by entry.
type jsonFile struct {
	path string
	dec  *json.Decoder
	b    *builder
}

func (b *builder) json(path string) error {
	f, err := plainfile.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	j := &jsonFile{path: path, dec: json.NewDecoder(in), b: b}
	if err := j.delim('{', ""); err != nil {
		return err
	}
	seen := map[string]bool{}
	for j.dec.More() {
		at := j.dec.InputOffset()
		token, err := j.dec.Token()
		if err != nil {
			return j.fault(at, "", err)
		}
		key, _ := token.(string)
		if seen[key] {
			return j.diag(at, key, CodeDuplicate, "this key is there twice", "join the two lists")
		}
		seen[key] = true
		switch key {
		case "users":
			err = readList(j, key, func(e *userEntry, i int32) error { return b.user(e.user(), i) })
		case "courses":
			err = readList(j, key, func(e *courseEntry, _ int32) error { return b.course(Course(*e)) })
		default:
			hint := `the file holds "users" and "courses"`
			if s := diag.Suggest(key, []string{"users", "courses"}); s != "" {
				hint = fmt.Sprintf("did you mean %q?", s)
			}
			err = j.diag(at, key, CodeFormat, "unknown key", hint)
		}
		if err != nil {
			return err
		}
	}
	if err := j.delim('}', ""); err != nil {
		return err
	}
	at := j.dec.InputOffset()
	if _, err := j.dec.Token(); !errors.Is(err, io.EOF) {
		return j.diag(at, "", CodeFormat, "something follows the end of the object", "one file holds one object")
	}
	return nil
}

func (j *jsonFile) delim(want json.Delim, path string) error {
	at := j.dec.InputOffset()
	token, err := j.dec.Token()
	if err != nil {
		return j.fault(at, path, err)
	}
	if token != want {
		return j.diag(at, path, CodeFormat, fmt.Sprintf("expected %q", want.String()), `the file is {"users": […], "courses": […]}`)
	}
	return nil
}

func readList[T any](j *jsonFile, key string, add func(*T, int32) error) error {
	if err := j.delim('[', key); err != nil {
		return err
	}
	for i := int32(0); j.dec.More(); i++ {
		at := j.dec.InputOffset()
		entry := new(T)
		if err := j.dec.Decode(entry); err != nil {
			return j.fault(at, diag.Index(key, int(i)), err)
		}
		if err := add(entry, i); err != nil {
			return entryError(j.position(at), diag.Index(key, int(i)), err)
		}
	}
	return j.delim(']', key)
}

// fault explains an error of the decoder, without the values that it may quote.
func (j *jsonFile) fault(at int64, path string, err error) error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType):
		if wrongType.Field != "" {
			path += "." + wrongType.Field
		}
		want := "text"
		if k := wrongType.Type.Kind().String(); k == "map" || k == "struct" {
			want = "an object"
		}
		return j.diag(at, path, CodeFormat, "expected "+want, "")
	case errors.Is(err, errAccountID):
		return j.diag(at, path+".id", CodeFormat, errAccountID.Error(), "use the number of the account")
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return j.diag(at, path, CodeFormat, "invalid json here or in the entry that starts here", "check the file with a json tool")
	}
	return fileError(j.path, err)
}

func (j *jsonFile) diag(at int64, path, code, message, hint string) error {
	return &diag.Diagnostic{Pos: j.position(at), Path: path, Code: code, Message: message, Hint: hint}
}

// position finds line and column of the token behind offset at, by reading the
// file once more: only a fault needs it.
func (j *jsonFile) position(at int64) diag.Position {
	pos := diag.Position{File: j.path}
	f, err := plainfile.Open(j.path)
	if err != nil {
		return pos
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	line, column := 1, 1
	for read := int64(0); ; read++ {
		c, err := in.ReadByte()
		if err != nil || read >= at && !bytes.ContainsRune([]byte(" \t\r\n,:"), rune(c)) {
			break
		}
		if c == '\n' {
			line, column = line+1, 1
		} else if utf8.RuneStart(c) {
			column++
		}
	}
	pos.Line, pos.Column = line, column
	return pos
}
