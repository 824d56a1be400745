package natskey

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "amara", "course-v1:edX+D+R", "é=.*> ", "\x00\xff"} {
		f.Add(s)
	}
	allowed := regexp.MustCompile(`^[-_=a-zA-Z0-9]+$`)
	f.Fuzz(func(t *testing.T, s string) {
		key := Encode(s)
		require.Regexp(t, allowed, key)
		back, err := Decode(key)
		require.NoError(t, err)
		require.Equal(t, s, back)
	})
}

func TestDecodeRefuses(t *testing.T) {
	for _, s := range []string{"", "a.b", "=4", "=zz", "a=", "é"} {
		_, err := Decode(s)
		require.ErrorIs(t, err, ErrKey, s)
	}
}
