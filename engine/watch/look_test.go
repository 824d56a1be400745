package watch

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLook(t *testing.T) {
	s := newSite(t)
	s.write("..v1/routers.yaml", "a")
	s.link("..v1", "..data")
	s.link("..data/routers.yaml", "routers.yaml")
	paths := []string{s.path("erbd.yaml"), s.path("mappings"), s.path("routers.yaml"), s.path("none"), ""}
	before := Look(paths)
	assert.True(t, before.Same(Look(paths)))
	assert.Empty(t, Look(paths).Changed(before))
	for _, tt := range []struct {
		name string
		edit func()
		want []string
	}{
		{"in place", func() { s.write("erbd.yaml", "longer") }, []string{"erbd.yaml"}},
		{"ignored", func() { s.write("mappings/xapi/.video.yaml.swp", "x") }, nil},
		{"beside", func() { s.write("other.txt", "longer") }, nil},
		{"in a folder", func() { s.write("mappings/xapi/video.yaml", "longer") }, []string{"mappings/xapi/video.yaml"}},
		{"new", func() { s.write("mappings/xapi/new.yaml", "") }, []string{"mappings/xapi/new.yaml"}},
		{"gone", func() { s.remove("mappings/xapi/new.yaml") }, []string{"mappings/xapi/new.yaml"}},
		{"come", func() { s.write("none", "") }, []string{"none"}},
	} {
		tt.edit()
		now := Look(paths)
		var want []string
		for _, name := range tt.want {
			want = append(want, s.path(name))
		}
		assert.Equal(t, want, now.Changed(before), tt.name)
		assert.Equal(t, len(want) == 0, now.Same(before), tt.name)
		before = now
	}
	s.write("..v2/routers.yaml", "a")
	s.link("..v2", "..next")
	require.NoError(t, os.Rename(s.path("..next"), s.path("..data")))
	assert.False(t, Look(paths).Same(before), "another file behind the link")
}
