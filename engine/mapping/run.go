package mapping

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/expr"
)

// output is what a segment writes to.
type output struct {
	dst []byte
	// idStart and idEnd enclose the statement's id as JSON.
	idStart, idEnd int
	// field is where a failure came from.
	field *Field
	// warnings are the filters that failed silently.
	warnings []Warning
}

// run writes the segment, with a comma behind it, or nothing where its value is absent.
func (s *segment) run(f *expr.Frame, out *output) *expr.Failure {
	dst := out.dst
	var room [12]int
	marks := room[:0]
	for i := 0; i < len(s.ops); i++ {
		o := &s.ops[i]
		start := len(dst)
		switch o.kind {
		case opBytes:
			dst = append(dst, o.bytes...)
		case opValue:
			var v expr.Value
			dst, v = o.leaf.bound.AppendJSON(f, append(dst, o.bytes...))
			switch {
			case v.Kind() == expr.Failed:
				out.dst, out.field = dst, o.leaf.field
				return v.Failure()
			case v.IsNull() || s.prune == pruneEmpties && isEmpty(v):
				dst = dst[:start]
				continue
			case s.prune == pruneEmpties && v.Kind() == expr.Object:
				dst = appendWithoutEmpties(dst[:start+len(o.bytes)], v.Raw())
			}
			dst = append(dst, ',')
		case opText:
			var failure *expr.Failure
			if dst, failure = o.text(f, dst, out); failure != nil {
				out.dst = dst
				return failure
			}
		case opOpen:
			marks = append(marks, start)
			dst = append(dst, o.bytes...)
		case opClose:
			mark := marks[len(marks)-1]
			marks = marks[:len(marks)-1]
			switch {
			case dst[len(dst)-1] == ',':
				dst = append(dst[:len(dst)-1], o.close, ',')
			case o.keep:
				dst = append(dst, o.close, ',')
			default:
				dst = dst[:mark]
			}
		case opEnd:
			dst = append(dst[:len(dst)-1], o.close, ',')
		case opFilter:
			v, failure := o.block.apply(f, out)
			if failure != nil {
				out.dst = dst
				return failure
			}
			if v.IsNull() {
				continue
			}
			dst = append(v.AppendJSON(append(dst, o.bytes...)), ',')
		case opWhen:
			v := o.leaf.bound.Node(f)
			truth, ok := v.Bool()
			if !ok {
				out.dst, out.field = dst, o.leaf.field
				return notBool("$when", v)
			}
			if !truth {
				i += o.jump - 1
			}
		}
		if o.id {
			out.idStart, out.idEnd = start, len(dst)
		}
		if len(dst) > maxOutput || f.Over() != nil {
			out.dst, out.field = dst, o.field()
			return tooLarge(f)
		}
	}
	out.dst = dst
	return nil
}

// maxOutput bounds the statements of one event, all together, in bytes. It is several times the largest event: a
// child for each of its members could repeat all of it.
const maxOutput = 64 << 20

// keptOutput is how much memory for statements a worker keeps for the next event.
const keptOutput = 4 << 20

// tooLarge refuses an event that takes too much memory or time.
func tooLarge(f *expr.Frame) *expr.Failure {
	if over := f.Over(); over != nil {
		return over
	}
	return &expr.Failure{Reason: "the statements of this event are larger than 64 MiB"}
}

// field is the place of an operation, nil where it has none of its own.
func (o *op) field() *Field {
	switch {
	case o.leaf != nil:
		return o.leaf.field
	case len(o.parts) > 0 && o.parts[0].leaf != nil:
		return o.parts[0].leaf.field
	}
	return nil
}

// text writes an interpolation, or nothing where one of its values is absent.
func (o *op) text(f *expr.Frame, dst []byte, out *output) ([]byte, *expr.Failure) {
	start := len(dst)
	dst = append(dst, o.bytes...)
	for i := range o.parts {
		p := &o.parts[i]
		if dst = append(dst, p.literal...); len(dst) > maxOutput {
			return dst, nil // the caller refuses it
		}
		if p.leaf == nil {
			continue
		}
		var v expr.Value
		switch dst, v = p.leaf.bound.AppendEscaped(f, dst); v.Kind() {
		case expr.Text:
		case expr.Failed:
			out.field = p.leaf.field
			return dst, v.Failure()
		case expr.Null:
			return dst[:start], nil
		default:
			var ok bool
			if dst, ok = v.AppendText(dst); !ok {
				out.field = p.leaf.field
				return dst, &expr.Failure{Reason: v.Kind().String() + " cannot stand inside text"}
			}
		}
	}
	return append(dst, ','), nil
}

// value evaluates the segment of a let.
func (s *segment) value(f *expr.Frame) expr.Value {
	out := output{dst: f.Borrow()}
	failure := s.run(f, &out)
	if failure != nil {
		if failure.Origin == nil {
			failure.Origin = out.field
		}
		f.Return(out.dst)
		return expr.FailedValue(failure)
	}
	v := expr.NullValue
	if n := len(out.dst); n > 0 {
		switch out.dst[0] {
		case '{':
			v = f.Keep(expr.Object, out.dst[:n-1])
		case '[':
			v = f.Keep(expr.List, out.dst[:n-1])
		default:
			v = expr.JSONValue(string(out.dst[:n-1]))
		}
	}
	f.Return(out.dst)
	return v
}

func notBool(what string, v expr.Value) *expr.Failure {
	if f := v.Failure(); f != nil {
		return f
	}
	return &expr.Failure{Reason: what + " must be true or false, it is " + v.Kind().String()}
}

// appendWithoutEmpties copies an object without its null, "", [] and {} members; the objects in it are treated
// alike, lists are not entered.
func appendWithoutEmpties(dst []byte, raw string) []byte {
	dst = append(dst, '{')
	first := true
	gjson.Parse(raw).ForEach(func(k, v gjson.Result) bool {
		if isEmptyRaw(v.Raw) {
			return true
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(expr.AppendString(dst, event.Unquote(k.Raw)), ':')
		if v.IsObject() {
			dst = appendWithoutEmpties(dst, v.Raw)
		} else {
			dst = append(dst, v.Raw...)
		}
		return true
	})
	return append(dst, '}')
}

func isEmptyRaw(raw string) bool {
	switch raw[0] {
	case 'n':
		return true
	case '"':
		return len(raw) == 2
	case '{', '[':
		return strings.TrimSpace(raw[1:len(raw)-1]) == ""
	}
	return false
}
