// Package yamldoc reads one strict YAML or JSON document and knows where every character of it came from.
//
// # What is accepted
//
// One document of at most 1 MiB in UTF-8, nested at most 64 deep, made of mappings with string keys, sequences and
// scalars. Refused, each with a diagnostic at its place: syntax errors, an empty file, a second document, duplicate
// keys, keys that are no strings, merge keys (<<), anchors and aliases (a few of them can stand for gigabytes), tags
// other than those of the core schema, control characters, and the exotic line breaks CR alone, U+0085, U+2028 and
// U+2029 that editors do not count as lines. A file that is valid JSON is read as JSON, surrogate pairs included.
//
// # What scalars mean
//
// Plain scalars are resolved by the core schema of YAML 1.2, whatever the YAML library does:
//
//	null      empty, ~, null, Null, NULL
//	bool      true, True, TRUE, false, False, FALSE
//	int       [-+]?[0-9]+ (decimal even with leading zeros), 0o[0-7]+, 0x[0-9a-fA-F]+
//	float     1.5, .5, 1., 1e3, +1.5E-3
//	string    everything else: yes, no, on, off, 1_000, 0b1, 2020-01-01, 1:30
//
// Infinity, not-a-number and floats beyond 64 bits are refused, since JSON cannot say them; quote them if the text is
// meant. Quoted and block scalars are strings. The tags !!str, !!int, !!float, !!bool, !!null, !!map, !!seq and ! may
// be written and must fit.
//
// # Positions
//
// Positions count lines from 1 and columns in runes from 1; a byte order mark at the start is no column. [Node.PosAt]
// gives the place in the file of any byte of a scalar's decoded text, in every style: through escapes, folding,
// indentation, chomping and CR LF.
package yamldoc
