// Package mapping compiles the YAML files that say what an event becomes, and applies them.
//
// A mapping file names events and the statement they become. A scalar without ${…} is a literal, a scalar that is
// one ${…} takes the value and type of the expression, and text around ${…} is interpolation. Members that are null
// are left out. docs/mapping-language.md describes the language for its users.
//
// Load reads and checks all files of one backend and gives an immutable Set; a Set's Workers transform events, one
// goroutine each. An event is transformed as a whole or rejected with the field and the line that refused it.
package mapping
