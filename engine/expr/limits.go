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
	// maxProgram bounds a regular expression by the instructions of its program, since x{1000} is short and large:
	// the time to search a text is their product.
	maxProgram = 5000
	// maxPrograms bounds the instructions of all regular expressions of the routers of a backend: some 50 MB.
	maxPrograms = 1_000_000
	// maxPathSteps bounds the lists and objects that a gjson path makes, with their members, and the modifiers in it
	// (@…), which count twice: each can double what it is given.
	maxPathSteps = 8
	// maxPath is the length of a gjson path in bytes.
	maxPath = 512
)

// The bounds of what all expressions together compute for one event.
const (
	// maxMemory is the memory that their values take, in bytes: several times the largest event.
	maxMemory = 64 << 20
	// keptMemory is how much of it a frame keeps for the next event.
	keptMemory = 1 << 20
	// maxSteps bounds what the cost of cel-go does not see, such as the length of a value that a function gets in a
	// loop. A step is a byte; an event that takes them all has used about half a second.
	maxSteps = 128 << 20
)
