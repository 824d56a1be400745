package lookup_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/lookup"
)

const usersJSON = `{
  "users": [
    {"id": 7, "username": "ada", "email": "ada@example.com", "external_ids": {"xapi": "` + adaXAPI + `", "lti": null}, "is_active": true},
    {"id": "8", "username": "bob", "email": null}
  ],
  "courses": [{"id": "` + demo + `", "display_name": "Données & \"analyse\""}]
}
`

const usersYAML = `
users:
  - id: 7
    username: ada
    email: ada@example.com
    external_ids: {xapi: ` + adaXAPI + `, lti: }
  - {id: "8", username: bob, is_active: true}
courses:
  - {id: "` + demo + `", display_name: 'Données & "analyse"'}
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLoadFile(t *testing.T) {
	folder := filepath.Dir(write(t, "users.csv", "\ufeffID, username,joined,email,XAPI,caliper,lti\n7,ada,2020,ada@example.com,"+adaXAPI+",,\n8,bob,,,,,\n"))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "courses.csv"), []byte("id,display_name\r\n"+demo+",\"Données & \"\"analyse\"\"\"\r\n"), 0o600))
	files := map[string]string{
		"json":           write(t, "lms.json", usersJSON),
		"json with mark": write(t, "lms.JSON", "\ufeff"+usersJSON),
		"yaml":           write(t, "lms.yaml", usersYAML),
		"json as yaml":   write(t, "lms.yml", usersJSON),
		"csv":            folder,
	}
	for name, path := range files {
		t.Run(name, func(t *testing.T) {
			src, err := lookup.LoadFile(path)
			require.NoError(t, err)
			u, err := src.User(t.Context(), "7")
			require.NoError(t, err)
			assert.Equal(t, &lookup.User{ID: 7, Username: "ada", Email: "ada@example.com", ExternalIDs: map[string]string{"xapi": adaXAPI}}, u)
			u, err = src.User(t.Context(), "bob")
			require.NoError(t, err)
			assert.Equal(t, &lookup.User{ID: 8, Username: "bob", ExternalIDs: map[string]string{}}, u)
			c, err := src.Course(t.Context(), demo)
			require.NoError(t, err)
			assert.Equal(t, `Données & "analyse"`, c.DisplayName)
		})
	}
	for name, text := range map[string]string{"users.json": `{}`, "u.csv": "id\n", "c.csv": "id,display_name\n", "e.yaml": "users: []\n"} {
		src, err := lookup.LoadFile(write(t, name, text))
		require.NoError(t, err, name)
		users, courses := src.Len()
		assert.Zero(t, users+courses)
	}
}

func TestLoadFileErrors(t *testing.T) {
	tests := []struct {
		name, text, want string
		is               error
	}{
		{"a.json", ``, "a.json:1:1: invalid json here or in the entry that starts here (check the file with a json tool)", nil},
		{"a.json", `[]`, `a.json:1:1: expected "{" (the file is {"users": […], "courses": […]})`, nil},
		{"a.json", `{"user": []}`, `a.json:1:2: user: unknown key (did you mean "users"?)`, nil},
		{"a.json", `{"teachers": []}`, `a.json:1:2: teachers: unknown key (the file holds "users" and "courses")`, nil},
		{"a.json", `{"users": {}}`, `a.json:1:11: users: expected "[" (the file is {"users": […], "courses": […]})`, nil},
		{"a.json", "{\"users\": [\n  {\"id\": 1},\n\té]}", "a.json:3:2: users[1]: invalid json here or in the entry that starts here (check the file with a json tool)", nil},
		{"a.json", "{\"users\": [{\"id\": 1},", "a.json:1:22: users[1]: invalid json here or in the entry that starts here (check the file with a json tool)", nil},
		{"a.json", "{\"users\": [{\"id\": 1},\n {\"id\": 1.5}]}", "a.json:2:2: users[1].id: id is not a whole number (use the number of the account)", nil},
		{"a.json", "{\"users\": [{\"id\": 1, \"email\": 12345}]}", "a.json:1:12: users[0].email: expected text", nil},
		{"a.json", "{\"users\": [{\"id\": 1, \"external_ids\": []}]}", "a.json:1:12: users[0].external_ids: expected an object", nil},
		{"a.json", `{"users": [{"email": "x@example.com"}]}`, "a.json:1:12: users[0]: entry has no key (a user needs id or username, a course needs id)", lookup.ErrNoKey},
		{"a.json", `{"users": [{"id":1},{"id":2},{"id":"1"}]}`, "a.json: users[2].id: the same id as users[0] (keep one of the two)", lookup.ErrDuplicate},
		{"a.json", `{"users": [{"username":"a"},{"username":"a"}]}`, "a.json: users[1].username: the same username as users[0] (keep one of the two)", lookup.ErrDuplicate},
		{"a.json", `{"courses": [{"id":"demo"}]}`, "a.json:1:14: courses[0]: malformed course id (course ids look like course-v1:ORG+COURSE+RUN)", lookup.ErrBadCourseID},
		{"a.json", `{"courses": [{"id":"a/b/c"},{"id":"a/b/c"}]}`, "a.json:1:29: courses[1]: the same id as an earlier course (keep one of the two)", lookup.ErrDuplicate},
		{"a.json", `{"users": [], "users": []}`, "a.json:1:15: users: this key is there twice (join the two lists)", nil},
		{"a.json", `{} {}`, "a.json:1:4: something follows the end of the object (one file holds one object)", nil},

		{"a.yaml", "- 1\n", "a.yaml:1:1: expected a mapping with users and courses", nil},
		{"a.yaml", "users: 1\n", "a.yaml:1:8: users: expected a list", nil},
		{"a.yaml", "users: [1]\n", "a.yaml:1:9: users[0]: expected a mapping", nil},
		{"a.yaml", "people: []\n", "a.yaml:1:1: people: unknown key (the file holds users and courses)", nil},
		{"a.yaml", "users:\n - {id: ada}\n", "a.yaml:2:9: users[0].id: id is not a whole number", nil},
		{"a.yaml", "users:\n - {email: a}\n", "a.yaml:2:4: users[0]: entry has no key (a user needs id or username, a course needs id)", lookup.ErrNoKey},
		{"a.yaml", "users:\n - {id: 1, username: [a]}\n", "a.yaml:2:22: users[0].username: expected text", nil},
		{"a.yaml", "users: [{id: 1}, {id: 1}]\n", "a.yaml: users[1].id: the same id as users[0] (keep one of the two)", lookup.ErrDuplicate},
		{"a.yaml", "users: []\n# " + strings.Repeat("x", 1<<20), "a.yaml: look-up file in yaml is larger than 1 MiB (use json or csv, which may be of any size)", nil},

		{"a.csv", "", "a.csv:1: file is empty (the first line names the columns: id,username,email,xapi,caliper,lti or id,display_name)", nil},
		{"a.csv", "user_name,email\n", "a.csv:1: header names neither users nor courses (users have the columns id,username,email,xapi,caliper,lti, courses id,display_name; is a column meant to be username?)", nil},
		{"a.csv", "id,username\n1,a\nx,b\n", "a.csv:3:1: id is not a whole number (use the number of the account)", nil},
		{"a.csv", "id,username\n1,a,b\n", "a.csv:2:1: wrong number of fields (each line needs as many fields as the header, with commas and quotes inside a field quoted)", nil},
		{"a.csv", "id,username\n1,a\n2,b\n1,c\n", "a.csv:4: id: the same id as in line 2 (keep one of the two)", lookup.ErrDuplicate},
		{"a.csv", "id, Username,ID\n1,a,2\n", "a.csv:1:14: the column id comes twice (remove one of the two, or give it another name)", nil},
		{"a.csv", "id,username\n1,a\n2,\xe9milie\n", "a.csv:3:3: username is not valid utf-8 (save the file in the encoding UTF-8)", nil},
		{"a.csv", "id,display_name\n" + demo + ",\xff\n", "a.csv:2:33: display_name is not valid utf-8 (save the file in the encoding UTF-8)", nil},
		{"a.csv", "id,username\n,\n", "a.csv:2: entry has no key (a user needs id or username, a course needs id)", lookup.ErrNoKey},
		{"a.csv", "id,display_name\nx,y\n", "a.csv:2: malformed course id (course ids look like course-v1:ORG+COURSE+RUN)", lookup.ErrBadCourseID},

		{"a.txt", "x", `a.txt: look-up file of unknown kind ".txt" (use .json, .yaml, .csv, or a folder with users.csv and courses.csv)`, nil},
		{"x/a.csv/y", "x", "a.csv: folder has neither users.csv nor courses.csv (export one of them, or name a .json or .yaml file)", nil},
		{"missing.json", "", "cannot read look-up file: no such file or directory", fs.ErrNotExist},
		{"users.csv/missing", "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			path := write(t, tt.name, tt.text)
			switch tt.name {
			case "x/a.csv/y":
				path = filepath.Dir(path)
			case "missing.json":
				require.NoError(t, os.Remove(path))
			case "users.csv/missing": // users.csv is a folder
				path = filepath.Dir(filepath.Dir(path))
			}
			_, err := lookup.LoadFile(path)
			require.Error(t, err)
			for _, d := range diag.FromError(err) {
				assert.Empty(t, d.Line, "a line of the file has the data of a user")
			}
			assert.Contains(t, strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), ""), tt.want)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
		})
	}
}

// No file makes a panic, and what was read can be found.
func FuzzLoadFile(f *testing.F) {
	f.Add(".json", usersJSON)
	f.Add(".yaml", usersYAML)
	f.Add(".csv", "id,username,xapi\n7,ada,x\n")
	f.Add(".csv", "id,display_name\na/b/c,\"d\ne\"\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, ext, text string) {
		switch ext {
		case ".json", ".yaml", ".csv":
		default:
			return
		}
		path := filepath.Join(dir, "lms"+ext)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		src, err := lookup.LoadFile(path)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		for _, key := range []string{"7", "ada", "bob", ""} {
			if u, err := src.User(t.Context(), key); err == nil {
				require.True(t, u.ID != 0 || u.Username != "")
			}
		}
	})
}
