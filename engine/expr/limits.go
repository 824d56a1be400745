package expr

// The bounds of one expression. They are far above what any mapping needs and far below what hurts.
const (
	// maxSource is the length of an expression in code points. The longest shipped one has about 200.
	maxSource = 4096
	// maxNesting bounds the depth of the syntax tree, and with it the stack that evaluation takes.
	maxNesting = 64
	// maxCost bounds the steps of an expression with a loop (map, filter, all, exists), in cel-go's cost units:
	// about 10 ms of one core. An event that needs more is rejected.
	maxCost = 200_000
	// maxLoops is how deep loops may stand inside one another.
	maxLoops = 2
)
