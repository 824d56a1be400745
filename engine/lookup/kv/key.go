package kv

import (
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/natskey"
)

const (
	idPrefix   = "id."
	namePrefix = "name."
)

// IDKey returns the key of the user with the number.
func IDKey(id int64) string { return idPrefix + strconv.FormatInt(id, 10) }

// NameKey returns the key of the user with the name.
func NameKey(username string) string { return namePrefix + natskey.Encode(username) }

// UserKeys returns the keys under which a user is kept: by id and by name, as far as there are.
func UserKeys(u *lookup.User) []string {
	var keys []string
	if u.ID != 0 {
		keys = append(keys, IDKey(u.ID))
	}
	if u.Username != "" {
		keys = append(keys, NameKey(u.Username))
	}
	return keys
}

// CourseKey returns the key of the course with the id.
func CourseKey(id string) string { return natskey.Encode(id) }

// userOf returns what is looked up where a key of the bucket of users is meant.
func userOf(key string) (string, bool) {
	if id, ok := strings.CutPrefix(key, idPrefix); ok {
		return id, true
	}
	if name, ok := strings.CutPrefix(key, namePrefix); ok {
		text, err := natskey.Decode(name)
		return text, err == nil && text != ""
	}
	return "", false
}
