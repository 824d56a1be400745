package expr

// TextWriter appends a value where it is a Text, without making that text first. Any other value is returned with dst
// as it was; which text was written is not said.
type TextWriter func(f *Frame, dst []byte) ([]byte, Value)

// writer is the TextWriter of a node.
func (n lowered) writer() TextWriter {
	if n.write != nil {
		return n.write
	}
	node := n.node
	return func(f *Frame, dst []byte) ([]byte, Value) {
		v := node(f)
		if v.kind == Text {
			dst = append(dst, v.str()...)
		}
		return dst, v
	}
}

func inlinedWriter(write TextWriter, origin any) TextWriter {
	return func(f *Frame, dst []byte) ([]byte, Value) {
		dst, v := write(f, dst)
		if v.kind == Failed && v.Failure().Origin == nil {
			v.Failure().Origin = origin
		}
		return dst, v
	}
}

// textNode is the node of a TextWriter.
func textNode(write TextWriter) Node {
	return func(f *Frame) Value {
		dst, v := write(f, f.Borrow())
		if v.kind == Text {
			v = f.Keep(Text, dst)
		}
		f.Return(dst)
		return v
	}
}
