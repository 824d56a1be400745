package expr

// exceed refuses the event: what its expressions compute takes too much memory or time. The refusal stays until the
// next event, so that whoever made a value of what could not be finished need not look.
func (f *Frame) exceed(reason string) Value {
	if f.over == nil {
		f.over = &Failure{Reason: reason}
	}
	return failWith(f.over)
}

const (
	tooMuchMemory = "what the mapping computes for this event is larger than 64 MiB"
	tooManySteps  = "the expression takes too many steps for this event"
)

// Over returns why the event is refused, whatever its expressions gave: they took too much memory or time. It is nil
// as long as they did not. A segment of a statement asks after each expression.
func (f *Frame) Over() *Failure { return f.over }

// room tells whether n more bytes may be computed for the event.
func (f *Frame) room(n int) bool { return n <= maxMemory-len(f.scratch) }

// roomFor tells whether there is room for values that are joined.
func (f *Frame) roomFor(args []Value) bool {
	n := 0
	for i := range args {
		switch args[i].kind {
		case Text, Object, List, Number:
			n += len(args[i].str())
		}
	}
	return f.room(n)
}

// spend takes steps from those that an event may take, and tells whether there were enough.
func (f *Frame) spend(steps int) bool {
	if f.steps += steps; f.steps > maxSteps || f.steps < 0 {
		f.exceed(tooManySteps)
		return false
	}
	return true
}

// spendOn takes the steps of handing values to cel-go, or of working on them there.
func (f *Frame) spendOn(args []Value) bool {
	for i := range args {
		if !f.spend(handed(args[i])) {
			return false
		}
	}
	return true
}

// handed is the number of steps that a value costs between cel-go and the functions of the library: its bytes, and
// several times that for objects and lists, whose members become values of their own.
func handed(v Value) int {
	switch v.kind {
	case Text:
		return 1 + len(v.str())
	case Object, List:
		return 1 + 16*len(v.str())
	}
	return 1
}
