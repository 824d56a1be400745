package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The contenders must make the same statement, or comparing them says nothing.
func TestContendersAgree(t *testing.T) {
	b, err := newBench()
	require.NoError(t, err)
	want := string(b.transform(b.read([]byte(playVideo))))
	require.NotEmpty(t, want)
	require.Equal(t, want, string(b.hand.playVideo(nil, []byte(playVideo))))
	for name, run := range map[string]func([]byte) ([]byte, error){"gojq": b.peers.byJQ, "expr": b.peers.byExpr, "goja": b.peers.byJS} {
		got, err := run([]byte(playVideo))
		require.NoError(t, err, name)
		require.JSONEq(t, want, string(got), name)
	}
	want = string(b.transform(b.read([]byte(problemCheck))))
	require.NotEmpty(t, want)
	require.Equal(t, want, string(b.hand.problemCheck(nil, []byte(problemCheck))))
}

func TestMixIsMapped(t *testing.T) {
	b, err := newBench()
	require.NoError(t, err)
	for _, s := range b.mix {
		require.NotEmpty(t, b.transform(b.read([]byte(s.event))), s.name)
	}
}
