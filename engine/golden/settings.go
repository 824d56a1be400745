package golden

import (
	"path/filepath"
	"strings"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/yamldoc"
)

// settings lays settings over the defaults, the later ones over the earlier ones.
func settings(layers []*yamldoc.Node, dir string) (*config.Settings, diag.List) {
	s := config.Defaults()
	var faults diag.List
	for _, n := range layers {
		faults = append(faults, yamldoc.Decode(n, s)...)
	}
	if faults.HasErrors() {
		return s, faults
	}
	for _, d := range s.Validate() {
		if len(layers) > 0 {
			top := layers[len(layers)-1]
			d.Pos, d.End = top.Pos(), diag.Position{}
		}
		faults = append(faults, d)
	}
	s.LMS.RootURL = strings.TrimRight(s.LMS.RootURL, "/")
	for _, p := range []*string{&s.Lookup.Path, &s.Filters, &s.Mappings, &s.Routers} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return s, faults
}
