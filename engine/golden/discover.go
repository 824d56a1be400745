package golden

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

// SettingsFile is the name of the file in the golden folder whose settings hold for all cases.
const SettingsFile = "settings.yaml"

// ErrNoCases is the error for a folder or a pattern without cases.
var ErrNoCases = errors.New("there are no cases")

// Selection chooses cases; the zero value means all.
type Selection struct {
	// Patterns are names or beginnings of names of cases, such as xapi, xapi/play_video or play_video, with * and ?
	// as in path.Match; paths of case files work too. A case is chosen if one of them fits.
	Patterns []string
	// Run, if not nil, must match in the name of the case.
	Run *regexp.Regexp
}

// Discover reads the cases of a folder in the order of their names. It reports the faults of all case files; the
// cases without faults are returned as well. The error is of the file system, or ErrNoCases.
func Discover(dir string, sel Selection) ([]*Case, diag.List, error) {
	base, faults, err := folderSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	files, err := caseFiles(dir)
	if err != nil {
		return nil, nil, err
	}
	var cases []*Case
	found := false
	for _, name := range files {
		if !sel.chooses(dir, name) {
			continue
		}
		found = true
		file := filepath.Join(dir, filepath.FromSlash(name)+".yaml")
		src, err := plainfile.Read(file)
		if err != nil {
			return nil, nil, fmt.Errorf("read case: %w", err)
		}
		c, list := parseCase(name, file, src, base, dir)
		faults = append(faults, list...)
		if c != nil {
			cases = append(cases, c)
		}
	}
	if !found {
		return nil, faults, fmt.Errorf("%w in %s%s", ErrNoCases, dir, sel.describe())
	}
	return cases, faults, nil
}

func folderSettings(dir string) ([]*yamldoc.Node, diag.List, error) {
	file := filepath.Join(dir, SettingsFile)
	src, err := plainfile.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read settings of the cases: %w", err)
	}
	doc, faults := yamldoc.Parse(file, src)
	if faults.HasErrors() || doc == nil {
		return nil, faults, nil
	}
	return []*yamldoc.Node{doc.Root}, faults, nil
}

// caseFiles lists BACKEND/EVENT/CASE of a folder, sorted.
func caseFiles(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read cases: %w", err)
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return fmt.Errorf("read cases: %w", err)
		}
		name, isYAML := strings.CutSuffix(filepath.ToSlash(rel), ".yaml")
		if !d.IsDir() && isYAML && strings.Count(name, "/") == 2 && !strings.HasPrefix(path.Base(name), ".") {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

func (s Selection) chooses(dir, name string) bool {
	if s.Run != nil && !s.Run.MatchString(name) {
		return false
	}
	if len(s.Patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(s.Patterns, func(pattern string) bool {
		if rel, err := filepath.Rel(dir, pattern); err == nil && !strings.HasPrefix(rel, "..") && rel != "." {
			pattern = rel
		}
		pattern = strings.Trim(strings.TrimSuffix(filepath.ToSlash(pattern), ".yaml"), "/")
		if pattern == "." || pattern == filepath.ToSlash(filepath.Clean(dir)) {
			return true
		}
		want, have := strings.Split(pattern, "/"), strings.Split(name, "/")
		for skip := 0; skip+len(want) <= len(have); skip++ {
			if fits(want, have[skip:]) {
				return true
			}
		}
		return false
	})
}

func fits(want, have []string) bool {
	for i, w := range want {
		if ok, err := path.Match(w, have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func (s Selection) describe() string {
	text := ""
	if len(s.Patterns) > 0 {
		text = " for " + strings.Join(s.Patterns, " ")
	}
	if s.Run != nil {
		text += " that match " + s.Run.String()
	}
	return text
}
