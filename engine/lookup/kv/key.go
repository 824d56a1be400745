package kv

import (
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/lookup"
)

const hexDigits = "0123456789ABCDEF"

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// encode writes a text as keys of buckets have it.
func encode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

func decode(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plain(c):
			b.WriteByte(c)
		case c == '=' && i+2 < len(s):
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

const (
	idPrefix   = "id."
	namePrefix = "name."
)

// IDKey returns the key of the user with the number.
func IDKey(id int64) string { return idPrefix + strconv.FormatInt(id, 10) }

// NameKey returns the key of the user with the name.
func NameKey(username string) string { return namePrefix + encode(username) }

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
func CourseKey(id string) string { return encode(id) }

// userOf returns what is looked up where a key of the bucket of users is meant.
func userOf(key string) (string, bool) {
	if id, ok := strings.CutPrefix(key, idPrefix); ok {
		return id, true
	}
	if name, ok := strings.CutPrefix(key, namePrefix); ok {
		return decode(name)
	}
	return "", false
}
