// Package mappings holds the shipped mapping files and examples of filters.
package mappings

import "embed"

// FS has one folder a backend; erbd and mapcheck use these unless they are given another folder. The folder filters
// has examples of filters, which nothing uses by default.
//
//go:embed xapi caliper filters
var FS embed.FS

// Version is the version of the mapping set: the default of the setting transformer_version carries it.
const Version = "1.0.0"
