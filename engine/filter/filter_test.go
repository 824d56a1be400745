package filter_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/filter"
)

func regex(t testing.TB, kind filter.Type, expressions ...string) *filter.Filter {
	t.Helper()
	f, err := filter.Regex(kind, expressions)
	require.NoError(t, err)
	return f
}

func TestAllows(t *testing.T) {
	sample := []string{"edx.course.enrollment.*", "seek_video", "edx.video.position.changed"}
	tests := []struct {
		name       string
		f          *filter.Filter
		allowed    []string
		notAllowed []string
	}{
		{"all", filter.All(), []string{"", "play_video"}, nil},
		{"names", filter.Names([]string{"play_video"}), []string{"play_video"}, []string{"", "play_video2", "Play_video", "play_vide"}},
		{"no names", filter.Names(nil), nil, []string{"", "play_video"}},
		{"allowlist", regex(t, filter.Allowlist, sample...),
			[]string{"edx.course.enrollment.activated", "seek_video", "seek_video.mobile", "edxxcourse.enrollment."},
			[]string{"", "my.seek_video", "\nseek_video", "edx.course.enrollmen", "play_video"}},
		{"blocklist", regex(t, filter.Blocklist, sample...), []string{"", "my.seek_video", "play_video"}, []string{"seek_video", "edx.course.enrollment.activated"}},
		{"alternatives stay within their expression", regex(t, filter.Allowlist, "a|b", "(?i)c", "d"), []string{"a", "b", "ab", "C", "d"}, []string{"xb", "D"}},
		{"multi-line flag", regex(t, filter.Allowlist, "(?m)^b"), []string{"b"}, []string{"a\nb"}},
		{"empty expression", regex(t, filter.Allowlist, ""), []string{"", "a"}, nil},
		{"no expressions", regex(t, filter.Allowlist), nil, []string{"", "a"}},
		{"nothing blocked", regex(t, filter.Blocklist), []string{"", "a"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // computed, then remembered
				for _, name := range tt.allowed {
					assert.True(t, tt.f.Allows(name), "%q", name)
				}
				for _, name := range tt.notAllowed {
					assert.False(t, tt.f.Allows(name), "%q", name)
				}
			}
		})
	}
}

func TestRegexErrors(t *testing.T) {
	_, err := filter.Regex("whitelist", nil)
	require.ErrorIs(t, err, filter.ErrType)
	require.EqualError(t, err, `unknown filter type "whitelist": use allowlist or blocklist`)

	_, err = filter.Regex(filter.Allowlist, []string{"a)", "fine", "(b", "x(?!y)", "a{2,1}"})
	require.ErrorIs(t, err, filter.ErrExpression)
	require.EqualError(t, err, strings.Join([]string{
		"invalid regular expression [0]: unexpected )",
		"invalid regular expression [2]: missing closing )",
		"invalid regular expression [3]: invalid or unsupported Perl syntax (?! (look-around (?!…) is not available; list the names or use the other filter type)",
		"invalid regular expression [4]: invalid repeat count {2,1}",
	}, "\n"))
	var fault *filter.ExpressionError
	require.ErrorAs(t, err, &fault)
	assert.Zero(t, fault.Index)
}

func TestAllowsManyNames(t *testing.T) {
	f := regex(t, filter.Allowlist, ".*7$")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 10_000 {
				if !assert.Equal(t, i%10 == 7, f.Allows(strconv.Itoa(i))) {
					return
				}
			}
		})
	}
	wg.Wait()
	assert.True(t, f.Allows(strings.Repeat("x", 10_000)+"7"))
}

func BenchmarkAllows(b *testing.B) {
	f := regex(b, filter.Allowlist, "edx.course.enrollment.*", "seek_video")
	b.ReportAllocs()
	for b.Loop() {
		f.Allows("edx.course.enrollment.activated")
	}
}
