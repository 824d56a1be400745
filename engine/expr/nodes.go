package expr

// inlined evaluates a variable in the place of its only use.
func inlined(eval Node, origin any) Node {
	return func(f *Frame) Value {
		v := eval(f)
		if v.kind == Failed && v.Failure().Origin == nil {
			v.Failure().Origin = origin
		}
		return v
	}
}

func oneNode(run func(f *Frame, arg Value) Value, arg Node) Node {
	return func(f *Frame) Value {
		v := arg(f)
		if v.kind == Failed {
			return v
		}
		return run(f, v)
	}
}

func twoNode(run func(f *Frame, first, second Value) Value, first, second Node) Node {
	return func(f *Frame) Value {
		v := first(f)
		if v.kind == Failed {
			return v
		}
		w := second(f)
		if w.kind == Failed {
			return w
		}
		return run(f, v, w)
	}
}

func twoConstNode(run func(f *Frame, first, second Value) Value, first Node, second Value) Node {
	return func(f *Frame) Value {
		v := first(f)
		if v.kind == Failed {
			return v
		}
		return run(f, v, second)
	}
}

// firstNode evaluates the arguments until one is accepted or fails.
func firstNode(accept func(v Value) bool, args []lowered) Node {
	last := len(args) - 1
	return func(f *Frame) Value {
		for i := range last {
			if v := args[i].node(f); v.kind == Failed || accept(v) {
				return v
			}
		}
		return args[last].node(f)
	}
}

// applyNode evaluates the arguments on the stack of the frame; the first that fails is the result.
func applyNode(run implementation, args []lowered) Node {
	switch len(args) {
	case 1:
		a := args[0].node
		return func(f *Frame) Value {
			v := a(f)
			if v.kind == Failed {
				return v
			}
			base := len(f.stack)
			f.stack = append(f.stack, v)
			out := run(f, f.stack[base:])
			f.stack = f.stack[:base]
			return out
		}
	}
	return func(f *Frame) Value {
		base := len(f.stack)
		for i := range args {
			v := args[i].node(f)
			if v.kind == Failed {
				f.stack = f.stack[:base]
				return v
			}
			f.stack = append(f.stack, v)
		}
		out := run(f, f.stack[base:])
		f.stack = f.stack[:base]
		return out
	}
}
