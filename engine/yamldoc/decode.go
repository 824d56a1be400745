package yamldoc

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/erbd/erbd/engine/diag"
)

// Codes of the diagnostics of [Decode].
const (
	CodeUnknownKey = "unknown-key" // a key that the struct has no field for
	CodeMissingKey = "missing-key" // a key that is required and not there
	CodeType       = "wrong-type"  // a value of another type
	CodeRange      = "out-of-range"
	CodeDuration   = "bad-duration"
	CodeValue      = "bad-value"  // refused by the type's own UnmarshalText
	CodeTarget     = "bad-target" // Decode was called with something that it cannot fill
)

// Unmarshaler is a type that reads itself from a node. Its receiver is a pointer. Paths of its diagnostics are the
// business of [Node.Diag]. It is called for null values too.
type Unmarshaler interface {
	UnmarshalDoc(n *Node) diag.List
}

// Decode fills into, a pointer, from a node and returns all that does not fit, each at its place, [MaxFaults] of it
// at most (what an [Unmarshaler] returns is not cut).
//
//   - A struct takes a mapping. Its exported fields have tags `yaml:"name"`; the tag `yaml:"name,required"` reports a
//     missing or null value and `yaml:",inline"` takes the fields of an embedded or named struct as one's own. Fields
//     without a tag are not touched. A key without field is reported with the nearest name as a hint.
//   - A map with string keys takes a mapping, a slice takes a sequence; both are replaced, not added to.
//   - A string takes a string, a bool a boolean, integers an integer in range, floats any number. There is no
//     conversion: port: "80" is no integer and name: 80 no string.
//   - A [time.Duration] takes a string such as 30s or 1m30s, or a number of seconds.
//   - A pointer is allocated. A *Node is the node itself. An empty interface takes [Node.Interface].
//   - An [Unmarshaler] reads itself; an [encoding.TextUnmarshaler] takes a string.
//
// null leaves everything as it was, so that defaults put in before stay. Other types are reported with the code
// "bad-target", never by a panic. Messages name types, not values, since a value can be a secret.
func Decode(n *Node, into any) diag.List {
	v := reflect.ValueOf(into)
	if n == nil {
		return diag.List{{Code: CodeTarget, Message: "there is no node to decode"}}
	}
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return diag.List{n.Diag(diag.Error, CodeTarget, "", "cannot decode into %T: it is no pointer to a value", into)}
	}
	d := &decoder{}
	d.decode(n, v.Elem(), 0)
	return d.faults
}

type decoder struct{ faults diag.List }

// maxDecodeDepth leaves room for pointers between the levels of a document; only a pointer type that points to itself
// goes deeper.
const maxDecodeDepth = 4 * MaxDepth

var (
	nodeType        = reflect.TypeFor[*Node]()
	durationType    = reflect.TypeFor[time.Duration]()
	unmarshalerType = reflect.TypeFor[Unmarshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) full() bool { return len(d.faults) >= MaxFaults }

func (d *decoder) fault(n *Node, code, hint, format string, args ...any) {
	switch {
	case d.full():
		return
	case len(d.faults) == MaxFaults-1:
		code, hint, format, args = CodeTooMany, "", "too many faults; the rest of them is not shown", nil
	}
	f := n.Diag(diag.Error, code, "", format, args...)
	f.Hint = hint
	d.faults = append(d.faults, f)
}

// mismatch reports that n is not what is wanted.
func (d *decoder) mismatch(n *Node, want, hint string) {
	d.fault(n, CodeType, hint, "expected %s, found %s", want, n.what())
}

// what names the node's type with its article.
func (n *Node) what() string {
	if n.Kind != Scalar {
		return "a " + n.Kind.String()
	}
	return n.Tag.article()
}

func (d *decoder) decode(n *Node, v reflect.Value, depth int) {
	if d.full() {
		return
	}
	if depth > maxDecodeDepth {
		d.fault(n, CodeTooDeep, "", "document nests more than %d deep", MaxDepth)
		return
	}
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if v.CanAddr() && v.Addr().Type().Implements(unmarshalerType) {
		d.faults = append(d.faults, v.Addr().Interface().(Unmarshaler).UnmarshalDoc(n)...)
		return
	}
	if n.IsNull() {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(n, v.Elem(), depth+1)
		return
	}
	if v.Type() == durationType {
		d.duration(n, v)
		return
	}
	if v.CanAddr() && v.Addr().Type().Implements(textType) {
		d.text(n, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, depth)
	case reflect.Map:
		d.mapping(n, v, depth)
	case reflect.Slice:
		d.slice(n, v, depth)
	case reflect.Interface:
		if v.NumMethod() > 0 {
			d.fault(n, CodeTarget, "", "cannot decode into %s", v.Type())
			return
		}
		v.Set(reflect.ValueOf(n.Interface()))
	default:
		d.scalar(n, v)
	}
}

func (d *decoder) scalar(n *Node, v reflect.Value) {
	isScalar := n.Kind == Scalar
	switch v.Kind() {
	case reflect.String:
		if !isScalar || n.Tag != String {
			hint := ""
			if isScalar {
				hint = "put it in quotes"
			}
			d.mismatch(n, "a string", hint)
			return
		}
		v.SetString(n.Text)
	case reflect.Bool:
		if !isScalar || n.Tag != Bool {
			d.mismatch(n, "true or false", n.unquoteHint(Bool))
			return
		}
		v.SetBool(n.isTrue())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if !isScalar || n.Tag != Int {
			d.mismatch(n, "an integer", n.unquoteHint(Int))
			return
		}
		i, err := strconv.ParseInt(n.number(), 10, v.Type().Bits())
		if err != nil {
			d.fault(n, CodeRange, "", "integer does not fit into %d bits", v.Type().Bits())
			return
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !isScalar || n.Tag != Int {
			d.mismatch(n, "an integer", n.unquoteHint(Int))
			return
		}
		u, err := strconv.ParseUint(n.number(), 10, v.Type().Bits())
		if err != nil {
			d.fault(n, CodeRange, "", "integer is negative or does not fit into %d bits", v.Type().Bits())
			return
		}
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		if !isScalar || n.Tag != Float && n.Tag != Int {
			d.mismatch(n, "a number", n.unquoteHint(Float))
			return
		}
		f, err := strconv.ParseFloat(n.number(), v.Type().Bits())
		if err != nil {
			d.fault(n, CodeRange, "", "number does not fit into %d bits", v.Type().Bits())
			return
		}
		v.SetFloat(f)
	default:
		d.fault(n, CodeTarget, "", "cannot decode into %s", v.Type())
	}
}

// unquoteHint advises to remove the quotes if the text would then be of the type.
func (n *Node) unquoteHint(want Tag) string {
	if n.Kind == Scalar && n.Quoted {
		if tag, finite := resolve(n.Text); finite && (tag == want || want == Float && tag == Int) {
			return "remove the quotes"
		}
	}
	return ""
}

func (d *decoder) duration(n *Node, v reflect.Value) {
	const hint = "write it like 30s, 5m or 1h30m, or as a number of seconds"
	if n.Kind == Scalar {
		switch n.Tag {
		case String:
			t, err := time.ParseDuration(n.Text)
			if err != nil {
				d.fault(n, CodeDuration, hint, "not a duration")
				return
			}
			v.SetInt(int64(t))
			return
		case Int, Float:
			seconds, err := strconv.ParseFloat(n.number(), 64)
			if ns := math.Round(seconds * float64(time.Second)); err == nil && math.Abs(ns) < math.MaxInt64 {
				v.SetInt(int64(ns))
				return
			}
			d.fault(n, CodeRange, hint, "duration is too long")
			return
		}
	}
	d.mismatch(n, "a duration", hint)
}

func (d *decoder) text(n *Node, v reflect.Value) {
	if n.Kind != Scalar || n.Tag != String {
		hint := ""
		if n.Kind == Scalar {
			hint = "put it in quotes"
		}
		d.mismatch(n, "a string", hint)
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Text)); err != nil {
		d.fault(n, CodeValue, "", "%w", err)
	}
}

func (d *decoder) slice(n *Node, v reflect.Value, depth int) {
	if n.Kind != Sequence {
		d.mismatch(n, "a sequence", "write each item behind '- '")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		d.decode(item, out.Index(i), depth+1)
	}
	v.Set(out)
}

func (d *decoder) mapping(n *Node, v reflect.Value, depth int) {
	if v.Type().Key().Kind() != reflect.String {
		d.fault(n, CodeTarget, "", "cannot decode into %s: its keys are no strings", v.Type())
		return
	}
	if n.Kind != Mapping {
		d.mismatch(n, "a mapping", "")
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Entries))
	for _, e := range n.Entries {
		if e.Key.Kind != Scalar {
			continue // Parse has reported it
		}
		key := reflect.ValueOf(e.Key.Text).Convert(v.Type().Key())
		if out.MapIndex(key).IsValid() {
			continue // Parse has reported it
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.Value, value, depth+1)
		out.SetMapIndex(key, value)
	}
	v.Set(out)
}

func (d *decoder) structure(n *Node, v reflect.Value, depth int) {
	if n.Kind != Mapping {
		d.mismatch(n, "a mapping", "")
		return
	}
	fields := map[string]field{}
	names, bad := collectFields(v.Type(), nil, fields, nil)
	if bad != nil {
		d.fault(n, CodeTarget, "", "%w", bad)
		return
	}
	seen := make(map[string]bool, len(n.Entries))
	for _, e := range n.Entries {
		if d.full() {
			return
		}
		if e.Key.Kind != Scalar || seen[e.Key.Text] {
			continue // Parse has reported it
		}
		f, ok := fields[e.Key.Text]
		if !ok {
			hint := diag.DidYouMean(e.Key.Text, names)
			if hint == "" && len(names) > 0 && len(names) <= 12 {
				hint = "known keys: " + strings.Join(names, ", ")
			}
			d.fault(e.Key, CodeUnknownKey, hint, "unknown key %q", e.Key.Text)
			continue
		}
		seen[e.Key.Text] = true
		if f.required && e.Value.IsNull() {
			d.fault(e.Value, CodeMissingKey, "", "key %q has no value", e.Key.Text)
			continue
		}
		d.decode(e.Value, v.FieldByIndex(f.index), depth+1)
	}
	for _, name := range names {
		if fields[name].required && !seen[name] {
			d.fault(n, CodeMissingKey, "", "key %q is missing", name)
			d.faults[len(d.faults)-1].End = diag.Position{}
		}
	}
}

type field struct {
	index    []int
	required bool
}

// collectFields gives the fields of a struct type by their names in the document, and the names in the order of the
// type.
func collectFields(t reflect.Type, outer []int, fields map[string]field, names []string) ([]string, error) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		if !ok || tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		index := append(append([]int(nil), outer...), i)
		name, options, _ := strings.Cut(tag, ",")
		options = "," + options + ","
		if strings.Contains(options, ",inline,") {
			if f.Type.Kind() != reflect.Struct {
				return nil, fmt.Errorf("cannot decode into %s: inline field %s is no struct", t, f.Name)
			}
			var err error
			if names, err = collectFields(f.Type, index, fields, names); err != nil {
				return nil, err
			}
			continue
		}
		if _, twice := fields[name]; twice || name == "" {
			return nil, fmt.Errorf("cannot decode into %s: name %q of field %s is empty or used twice", t, name, f.Name)
		}
		fields[name] = field{index: index, required: strings.Contains(options, ",required,")}
		names = append(names, name)
	}
	return names, nil
}
