package lookup

import (
	"errors"
	"io"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

func (b *builder) yaml(path string) error {
	f, err := plainfile.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, yamldoc.MaxBytes+1))
	if err != nil {
		return fileError(path, err)
	}
	if len(src) > yamldoc.MaxBytes {
		return &diag.Diagnostic{
			Pos: diag.Position{File: path}, Code: CodeFormat,
			Message: "look-up file in yaml is larger than 1 MiB", Hint: "use json or csv, which may be of any size",
		}
	}
	doc, faults := yamldoc.Parse(path, src)
	if err := faults.Err(); err != nil {
		return err
	}
	faults = nil
	if doc.Root.Kind != yamldoc.Mapping {
		return doc.Root.Diag(diag.Error, CodeFormat, "", "expected a mapping with users and courses")
	}
	for _, e := range doc.Root.Entries {
		var add func(int32, *yamldoc.Node) error
		switch e.Key.Text {
		case "users":
			add = b.yamlUser
		case "courses":
			add = b.yamlCourse
		default:
			d := e.Key.Diag(diag.Error, CodeFormat, "", "unknown key")
			d.Hint = "the file holds users and courses"
			faults = append(faults, d)
			continue
		}
		if e.Value.Kind != yamldoc.Sequence {
			faults = append(faults, e.Value.Diag(diag.Error, CodeFormat, "", "expected a list"))
			continue
		}
		for i, item := range e.Value.Items {
			if item.Kind != yamldoc.Mapping {
				faults = append(faults, item.Diag(diag.Error, CodeFormat, "", "expected a mapping"))
				continue
			}
			if err := add(int32(i), item); err != nil {
				var d *diag.Diagnostic
				if !errors.As(err, &d) {
					err = entryError(item.Pos(), item.Path(), err)
					errors.As(err, &d)
				}
				faults = append(faults, d)
			}
		}
	}
	return faults.Err()
}

func (b *builder) yamlUser(place int32, n *yamldoc.Node) error {
	u := User{ExternalIDs: map[string]string{}}
	if id := n.Get("id"); !id.IsNull() {
		var ok bool
		if u.ID, ok = userID(id.Text); !ok {
			return id.Diag(diag.Error, CodeFormat, "", "%w", errAccountID)
		}
	}
	var err error
	if u.Username, err = yamlText(n.Get("username")); err != nil {
		return err
	}
	if u.Email, err = yamlText(n.Get("email")); err != nil {
		return err
	}
	if ids := n.Get("external_ids"); !ids.IsNull() {
		if ids.Kind != yamldoc.Mapping {
			return ids.Diag(diag.Error, CodeFormat, "", "expected a mapping")
		}
		for _, e := range ids.Entries {
			id, err := yamlText(e.Value)
			if err != nil {
				return err
			}
			if id != "" {
				u.ExternalIDs[e.Key.Text] = id
			}
		}
	}
	return b.user(&u, place)
}

func (b *builder) yamlCourse(_ int32, n *yamldoc.Node) error {
	var c Course
	var err error
	if c.ID, err = yamlText(n.Get("id")); err != nil {
		return err
	}
	if c.DisplayName, err = yamlText(n.Get("display_name")); err != nil {
		return err
	}
	return b.course(c)
}

// yamlText returns the text of a scalar as it is written; a user may be called
// 1234 or true.
func yamlText(n *yamldoc.Node) (string, error) {
	switch {
	case n.IsNull():
		return "", nil
	case n.Kind != yamldoc.Scalar:
		return "", n.Diag(diag.Error, CodeFormat, "", "expected text")
	}
	return n.Text, nil
}
