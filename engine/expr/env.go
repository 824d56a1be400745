package expr

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
)

// baseEnv is the language without names: CEL's standard library, its string, list and math extensions, and
// the function library. It is built once and shared.
var baseEnv = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.EagerlyValidateDeclarations(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserRecursionLimit(maxNesting),
		ext.Strings(),
		ext.Lists(ext.ListsVersion(2)),
		ext.Math(),
	}
	for _, fn := range library {
		options = append(options, fn.declare())
	}
	return cel.NewEnv(options...)
})

// IsReserved tells whether a word cannot be a name in expressions, as CEL keeps it for itself.
func IsReserved(word string) bool { return reserved[word] }

var reserved = func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(`as break const continue else false for function if import in let loop namespace null package return true var void while`) {
		words[word] = true
	}
	return words
}()

// unplanned is the binding of library functions outside of a Program, where there is no Frame.
func unplanned(...ref.Val) ref.Val {
	return types.NewErr("a library function was called without an event")
}

// Scope is a set of names that expressions may use. It is immutable and safe for concurrent use.
type Scope struct {
	env   *cel.Env
	names []string
}

// NewScope declares names; those that types does not hold may have any type.
func NewScope(names []string, types map[string]*cel.Type) (*Scope, error) {
	base, err := baseEnv()
	if err != nil {
		return nil, fmt.Errorf("expression environment: %w", err)
	}
	options := []cel.EnvOption{cel.Variable(eventName, cel.DynType)}
	for _, name := range names {
		t := cel.DynType
		if known, ok := types[name]; ok {
			t = known
		}
		options = append(options, cel.Variable(name, t))
	}
	env, err := base.Extend(options...)
	if err != nil {
		return nil, fmt.Errorf("expression environment: %w", err)
	}
	return &Scope{env: env, names: append(slices.Clone(names), eventName)}, nil
}
