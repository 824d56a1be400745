package expr

import (
	"fmt"
	"strings"
)

// checkGeneralPath bounds a gjson path. Each modifier, list and object that it makes can double what it is given, and
// a chain of them does so again and again.
func checkGeneralPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("the path is longer than %d bytes", maxPath)
	}
	modifiers, made := 0, 0
	for i := range len(path) {
		if i > 0 && strings.IndexByte(".|,:[{", path[i-1]) < 0 {
			continue
		}
		switch path[i] {
		case '@':
			modifiers++
		case '[', '{':
			made++
		}
	}
	if made > 0 {
		made += strings.Count(path, ",")
	}
	if n := 2*modifiers + made; n > maxPathSteps {
		return fmt.Errorf("the path makes too much: at most %d modifiers, or %d lists, objects and members of them, are allowed", maxPathSteps/2, maxPathSteps)
	}
	return nil
}
