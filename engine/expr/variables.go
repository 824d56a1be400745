package expr

// Node evaluates one compiled expression. It is safe for concurrent use with different frames.
type Node func(f *Frame) Value

// Variable is a named value of a scope, evaluated when it is first used. Eval is nil for variables that are
// given with Frame.Set.
type Variable struct {
	Name string
	Eval Node
	// Origin is stored in the failures of Eval that name no origin yet.
	Origin any
	// Const is the value where it is known when the mapping is loaded.
	Const *Value
	// Inline evaluates the value where it is used, without remembering it: for values that are used once.
	Inline bool
	// DependsOn holds the indexes of the given variables that Eval needs, directly or not.
	DependsOn []int
	// ASCII, where set, makes a writer of what json_ascii makes of the value, for values that are trees; nil for those
	// that have none.
	ASCII func() TextWriter
	write TextWriter
}

func (v *Variable) dependsOn(index int) bool {
	for _, i := range v.DependsOn {
		if i == index {
			return true
		}
	}
	return false
}

// Variables are the names that the expressions of one scope see: variables by index and constants.
// It is filled while a mapping is compiled and then shared.
type Variables struct {
	defs   []Variable
	index  map[string]int
	consts map[string]Value
}

// NewVariables returns a scope with constants and no variables.
func NewVariables(consts map[string]Value) *Variables {
	return &Variables{index: map[string]int{}, consts: consts}
}

// Add adds a variable and returns its index. A name that exists is replaced and keeps its index.
func (s *Variables) Add(v Variable) int {
	if i, ok := s.index[v.Name]; ok {
		s.defs[i] = v
		return i
	}
	s.defs = append(s.defs, v)
	s.index[v.Name] = len(s.defs) - 1
	return len(s.defs) - 1
}

// Index returns the index of a variable.
func (s *Variables) Index(name string) (int, bool) {
	i, ok := s.index[name]
	return i, ok
}
