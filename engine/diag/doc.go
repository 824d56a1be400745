// Package diag holds positions in text files and the diagnostics that point at them.
//
// A [Diagnostic] keeps its position as data, so that one fault can be printed as a line of text, rendered with the
// source line and a caret, sorted among others, or written as JSON. A [List] collects every fault of a run, and
// [List.Err] turns it into an error that [errors.Is] and [errors.As] can look into.
//
// The package imports only the standard library. Its values are plain data: reading them from several goroutines is
// safe, changing them while others read is not.
package diag
