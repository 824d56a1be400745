// Package golden holds the golden cases of the shipped mappings: events with the statements they must become. The
// command mapcheck reads them from their folder; the events of a workload come from here.
package golden

import "embed"

// FS has the cases of the backend xapi, xapi/EVENT/CASE.yaml, and lms.json, the users and courses of all cases.
//
//go:embed xapi lms.json
var FS embed.FS
