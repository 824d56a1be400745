// Package lint looks for what is wrong or odd in mappings and routers beyond what keeps them from being loaded:
// fields that the specification of the output does not know, values that nothing uses, paths that no example has.
//
// Each finding is a diagnostic with a stable code; Codes lists them.
package lint
