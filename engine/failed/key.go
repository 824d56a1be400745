package failed

import (
	"fmt"
	"strings"
	"time"
)

// dateLayout is the date in a key.
const dateLayout = "2006-01-02"

// maxID bounds an id in a key, in bytes after encoding.
const maxID = 512

// Key names one record: backend.router.date.id.
type Key struct {
	Backend, Router string
	// Date is the day (UTC) on which the event was first published for the router.
	Date time.Time
	// ID identifies the event.
	ID string
}

// String returns the key as the bucket has it. Only letters, digits, _ and - of its parts stand as they are; any
// other byte becomes = and two hexadecimal digits, so that ids such as IRIs fit the bucket's character set.
func (k Key) String() string {
	return encode(k.Backend) + "." + encode(k.Router) + "." + k.Date.UTC().Format(dateLayout) + "." + encode(k.ID)
}

// ParseKey reads what Key.String wrote. Its errors wrap ErrKey.
func ParseKey(s string) (Key, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return Key{}, fmt.Errorf("%w: %.80q has not the form backend.router.date.id", ErrKey, s)
	}
	var k Key
	var err error
	for i, to := range []*string{&k.Backend, &k.Router, nil, &k.ID} {
		if to == nil {
			continue
		}
		if *to, err = decode(parts[i]); err != nil {
			return Key{}, err
		}
	}
	if k.Date, err = time.Parse(dateLayout, parts[2]); err != nil {
		return Key{}, fmt.Errorf("%w: %.20q is no date", ErrKey, parts[2])
	}
	return k, nil
}

const hexDigits = "0123456789ABCDEF"

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// encode writes a part of a key. An empty part is a lone "=", which stands for nothing else.
func encode(s string) string {
	if s == "" {
		return "="
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
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

func decode(s string) (string, error) {
	if s == "=" {
		return "", nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plain(c):
			b.WriteByte(c)
		case c == '=' && i+2 < len(s):
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi < 0 || lo < 0 {
				return "", fmt.Errorf("%w: %.80q has = without two hexadecimal digits", ErrKey, s)
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		default:
			return "", fmt.Errorf("%w: %.80q holds characters that no key has", ErrKey, s)
		}
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("%w: an empty part", ErrKey)
	}
	return b.String(), nil
}
