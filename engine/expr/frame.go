package expr

import (
	"context"
	"unsafe"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
)

// Directory answers look-ups of users and courses. Its errors are lookup.ErrUnknownUser,
// lookup.ErrUnknownCourse and lookup.ErrBadCourseID, which reject an event, and any other, which is transient.
type Directory interface {
	User(ctx context.Context, key string) (*lookup.User, error)
	Course(ctx context.Context, id string) (*lookup.Course, error)
}

// Frame holds one event while expressions are evaluated on it. It belongs to one goroutine and is reused
// from event to event.
type Frame struct {
	ctx       context.Context
	directory Directory
	json      string
	spans     []event.Span
	scan      event.Scan
	vars      []variable
	scope     *Variables
	stack     []Value
	scratch   []byte
	buffers   [][]byte
	objects   objects
	steps     int      // taken for the event, of maxSteps
	over      *Failure // the event has taken too much
	// observer is told of the values and branches of expressions that were bound for it; see Observe.
	observer Observer
}

type variable struct {
	value Value
	state uint8
}

const (
	unset uint8 = iota
	running
	set
)

// NewFrame returns an empty frame that asks directory for users and courses. Without one, nil, they cannot be
// looked up, and expressions that do are refused.
func NewFrame(directory Directory) *Frame { return &Frame{directory: directory} }

// Begin starts on an event; scanner holds the look-ups of the expressions to come. Values of the event before are no
// longer valid.
func (f *Frame) Begin(ctx context.Context, ev event.Event, scanner *event.Scanner) {
	f.ctx = ctx
	f.json = unsafe.String(unsafe.SliceData(ev.JSON), len(ev.JSON))
	f.spans = f.scan.Run(scanner, ev)
	if cap(f.scratch) > keptMemory {
		f.scratch = nil
	}
	f.scratch, f.steps, f.over = f.scratch[:0], 0, nil
	f.stack = f.stack[:0]
	f.vars = f.vars[:0]
	f.objects.forget()
}

// Enter makes the variables of a scope the current ones, all of them not yet evaluated.
func (f *Frame) Enter(scope *Variables) {
	f.scope = scope
	f.vars = f.vars[:0]
	f.grow(len(scope.defs))
}

// Nested evaluates a node in another scope and returns to the current one. given is the value of the first
// variable of that scope.
func (f *Frame) Nested(scope *Variables, given Value, n Node) Value {
	outer, vars := f.scope, f.vars
	f.scope, f.vars = scope, vars[len(vars):]
	f.grow(len(scope.defs))
	if len(f.vars) > 0 {
		f.vars[0] = variable{value: given, state: set}
	}
	v := n(f)
	f.scope, f.vars = outer, vars
	return v
}

func (f *Frame) grow(n int) {
	if cap(f.vars) < n {
		f.vars = make([]variable, n, 2*n)
		return
	}
	f.vars = f.vars[:n]
	clear(f.vars)
}

// Borrow lends a buffer for building a value; Return takes it back.
func (f *Frame) Borrow() []byte {
	n := len(f.buffers)
	if n == 0 {
		return make([]byte, 0, 512)
	}
	b := f.buffers[n-1]
	f.buffers = f.buffers[:n-1]
	return b[:0]
}

// Return takes back a buffer of Borrow.
func (f *Frame) Return(b []byte) {
	if cap(b) <= keptMemory {
		f.buffers = append(f.buffers, b)
	}
}

// Event is the JSON text of the event.
func (f *Frame) Event() string { return f.json }

// Set gives a variable of the current scope its value and forgets the values of all that depend on it.
func (f *Frame) Set(index int, v Value) {
	for i := range f.scope.defs {
		if f.scope.defs[i].dependsOn(index) {
			f.vars[i] = variable{}
		}
	}
	f.vars[index] = variable{value: v, state: set}
}

// Given is the value that a variable of the current scope was last given with Set.
func (f *Frame) Given(index int) Value { return f.vars[index].value }

// variable evaluates a variable of the scope once.
func (f *Frame) variable(i int) Value {
	v := &f.vars[i]
	switch v.state {
	case set:
		return v.value
	case running:
		return fail("the value of %q depends on itself", f.scope.defs[i].Name)
	}
	v.state = running
	def := &f.scope.defs[i]
	if def.Eval == nil {
		v.state = set
		return NullValue
	}
	value := def.Eval(f)
	if f.over != nil && value.kind != Failed {
		value = failWith(f.over)
	}
	if value.kind == Failed && value.Failure().Origin == nil {
		value.Failure().Origin = def.Origin
	}
	v = &f.vars[i]
	v.value, v.state = value, set
	return value
}

// build appends with fn to the scratch memory of the frame and returns the new bytes as a string.
func (f *Frame) build(fn func(dst []byte) []byte) string {
	start := len(f.scratch)
	f.scratch = fn(f.scratch)
	return f.since(start)
}

// since returns the scratch memory behind start as a string. The memory is only ever appended to while the
// event lasts, so the string stays as it is.
func (f *Frame) since(start int) string {
	if len(f.scratch) > maxMemory {
		f.exceed(tooMuchMemory)
		f.scratch = f.scratch[:start]
		return "{}" // text as good as an object: nobody will see it
	}
	b := f.scratch[start:]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Keep copies b into the scratch memory of the frame and returns it as a value of JSON text.
func (f *Frame) Keep(kind Kind, b []byte) Value {
	if !f.room(len(b)) {
		return f.exceed(tooMuchMemory)
	}
	start := len(f.scratch)
	f.scratch = append(f.scratch, b...)
	return stringValue(kind, f.since(start))
}

// slot is the value found for a look-up of the scanner.
func (f *Frame) slot(s event.Slot) Value { return spanValue(f.json, f.spans[s]) }

// present is slot by the accessor rule: empty text, lists and objects count as absent.
func (f *Frame) present(s event.Slot) Value {
	span := f.spans[s]
	switch span.Kind {
	case 0, 'n':
		return NullValue
	case '"':
		if span.End-span.Start == 2 {
			return NullValue
		}
		if !span.Escaped {
			return plainValue(f.json[span.Start+1 : span.End-1])
		}
	case '{', '[':
		if span.End-span.Start == 2 {
			return NullValue
		}
		if v := spanValue(f.json, span); span.Kind == '"' || !v.isEmpty() {
			return v
		}
		return NullValue
	}
	return spanValue(f.json, span)
}

// gjson is a general path into the event.
func (f *Frame) gjson(path string) Value {
	if !f.spend(len(f.json)) {
		return failWith(f.over)
	}
	r := gjson.Get(f.json, path)
	if !r.Exists() || r.Raw == "" {
		return NullValue
	}
	return JSONValue(r.Raw)
}

// ResolveName serves the variables of the scope to expressions that run in cel-go.
func (f *Frame) ResolveName(name string) (any, bool) {
	if name == frameName {
		return f, true
	}
	if i, ok := f.scope.index[name]; ok {
		return f.toCEL(f.variable(i)), true
	}
	if name == eventName {
		return f.toCEL(JSONValue(f.json)), true
	}
	if v, ok := f.scope.consts[name]; ok {
		return f.toCEL(v), true
	}
	return nil, false
}

// toCEL makes a value for cel-go, which takes the steps that this costs.
func (f *Frame) toCEL(v Value) ref.Val {
	if v.kind != Failed && !f.spend(handed(v)) {
		return types.WrapErr(f.over)
	}
	return toCEL(v)
}

// Parent is nil: a frame is the outermost activation.
func (f *Frame) Parent() interpreter.Activation { return nil }

const (
	frameName = "@frame"
	eventName = "event"
)
