// Package mappings holds the shipped mapping files.
package mappings

import "embed"

// FS has one folder a backend. erbd and mapcheck use it unless they are given another folder.
//
//go:embed xapi caliper
var FS embed.FS

// Version is the version of the mapping set: the default of the setting transformer_version carries it.
const Version = "1.0.0"
