package config

import (
	"regexp"

	"github.com/erbd/erbd/engine/diag"
)

// secretLine matches lines of a file that may hold a secret: by the names of keys, or by an address with a password
// or a query.
var secretLine = regexp.MustCompile(`(?i)pass|token|secret|dsn|auth|credential|cookie|key|://[^/\s@]*@|[?&][\w.-]+=`)

// HideSecrets takes the line of the file out of diagnostics where it may hold a secret: the fault may be in what
// stands beside it. Position and message stay.
func HideSecrets(faults diag.List) {
	for _, d := range faults {
		if secretLine.MatchString(d.Line) {
			d.Line = ""
		}
	}
}
