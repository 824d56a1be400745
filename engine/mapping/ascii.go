package mapping

import (
	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/expr"
)

// asciiWriter writes what json_ascii makes of the segment's value, without that value: statement ids are computed from
// the actor in that form. It is nil for a segment that filters change, or whose empty members go.
func (s *segment) asciiWriter() expr.TextWriter {
	if s.prune == pruneEmpties {
		return nil
	}
	ops := make([]asciiOp, len(s.ops))
	for i := range s.ops {
		o := &s.ops[i]
		if o.kind == opFilter {
			return nil
		}
		ops[i] = asciiOp{op: o, bytes: spaced(o.bytes)}
		for _, p := range o.parts {
			ops[i].literals = append(ops[i].literals, expr.AppendASCIIText(nil, gjson.Parse(`"`+string(p.literal)+`"`).Str))
		}
		if n := len(o.parts); o.kind == opText { // the last one closes the text
			last := o.parts[n-1].literal
			ops[i].literals[n-1] = append(expr.AppendASCIIText(nil, gjson.Parse(`"`+string(last)).Str), '"')
		}
	}
	return func(f *expr.Frame, dst []byte) ([]byte, expr.Value) { return writeASCII(ops, f, dst) }
}

// asciiOp is an op with its constants in the form of json_ascii.
type asciiOp struct {
	*op
	bytes    []byte
	literals [][]byte // of the parts
}

// separator stands behind every member; the end of its object or list takes it away.
const separator = ", "

// spaced brings tokens of compact JSON to the form of json_ascii.
func spaced(tokens []byte) (out []byte) {
	for i := 0; i < len(tokens); i++ {
		switch c := tokens[i]; c {
		case '"':
			start := i
			for i++; i < len(tokens) && tokens[i] != '"'; i++ {
				if tokens[i] == '\\' {
					i++
				}
			}
			if i >= len(tokens) { // of opText: the text goes on
				return append(out, tokens[start:]...)
			}
			out = expr.JSONValue(string(tokens[start : i+1])).AppendASCII(out)
		case ':', ',':
			out = append(out, c, ' ')
		default:
			out = append(out, c)
		}
	}
	return out
}

func writeASCII(ops []asciiOp, f *expr.Frame, dst []byte) ([]byte, expr.Value) {
	begin := len(dst)
	var room [12]int
	marks := room[:0]
	failed := func(failure *expr.Failure, at *Field) ([]byte, expr.Value) {
		if failure.Origin == nil {
			failure.Origin = at
		}
		return dst[:begin], expr.FailedValue(failure)
	}
	for i := 0; i < len(ops); i++ {
		o := &ops[i]
		start := len(dst)
		switch o.kind {
		case opBytes:
			dst = append(dst, o.bytes...)
		case opValue:
			v := o.leaf.bound.Node(f)
			if failure := v.Failure(); failure != nil {
				return failed(failure, o.leaf.field)
			}
			if !v.IsNull() {
				dst = append(v.AppendASCII(append(dst, o.bytes...)), separator...)
			}
		case opText:
			dst = append(dst, o.bytes...)
			for n := range o.parts {
				dst = append(dst, o.literals[n]...)
				leaf := o.parts[n].leaf
				if leaf == nil {
					continue
				}
				v := leaf.bound.Node(f)
				if failure := v.Failure(); failure != nil {
					return failed(failure, leaf.field)
				}
				if v.IsNull() {
					dst = dst[:start]
					break
				}
				text, ok := v.Text()
				if ok {
					dst = expr.AppendASCIIText(dst, text)
				} else if dst, ok = v.AppendText(dst); !ok {
					return failed(&expr.Failure{Reason: v.Kind().String() + " cannot stand inside text"}, leaf.field)
				}
			}
			if len(dst) > start {
				dst = append(dst, separator...)
			}
		case opOpen:
			marks = append(marks, start)
			dst = append(dst, o.bytes...)
		case opClose:
			mark := marks[len(marks)-1]
			marks = marks[:len(marks)-1]
			switch {
			case dst[len(dst)-1] == ' ':
				dst = append(append(dst[:len(dst)-len(separator)], o.close), separator...)
			case o.keep:
				dst = append(append(dst, o.close), separator...)
			default:
				dst = dst[:mark]
			}
		case opEnd:
			dst = append(append(dst[:len(dst)-len(separator)], o.close), separator...)
		case opWhen:
			v := o.leaf.bound.Node(f)
			truth, ok := v.Bool()
			if !ok {
				return failed(notBool("$when", v), o.leaf.field)
			}
			if !truth {
				i += o.jump - 1
			}
		}
		if len(dst)-begin > maxOutput || f.Over() != nil {
			return failed(tooLarge(f), o.field())
		}
	}
	if len(dst) == begin {
		return dst, expr.NullValue
	}
	return dst[:len(dst)-len(separator)], expr.TextValue("")
}
