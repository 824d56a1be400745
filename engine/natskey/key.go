// Package natskey writes any text as a part of a key of a NATS bucket, and reads it back. Keys hold letters, digits
// and few signs, while names of users and ids of statements hold anything.
package natskey

import (
	"errors"
	"fmt"
	"strings"
)

// ErrKey marks texts that Encode never writes.
var ErrKey = errors.New("unusable key")

const hexDigits = "0123456789ABCDEF"

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// Encode writes a text as a part of a key. Letters, digits, _ and - stand as they are, any other byte becomes = and
// two hexadecimal digits. An empty text is a lone =, which stands for nothing else.
func Encode(s string) string {
	if s == "" {
		return "="
	}
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

// Decode reads what Encode wrote. Its errors wrap ErrKey.
func Decode(s string) (string, error) {
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
