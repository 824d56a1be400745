package expr

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/erbd/erbd/engine/event"
)

func not(v Value) Value {
	if v.kind != Bool {
		return fail("\"!\" needs true or false, got %s", v.kind)
	}
	return BoolValue(v.num == 0)
}

func negate(v Value) Value {
	switch v.kind {
	case Int:
		if v.int() != math.MinInt64 {
			return IntValue(-v.int())
		}
	case Double:
		return DoubleValue(-math.Float64frombits(v.num))
	}
	return fail("\"-\" needs a number, got %s", v.kind)
}

func size(v Value) Value {
	switch v.kind {
	case Text:
		return IntValue(int64(utf8.RuneCountInString(v.str())))
	case Object:
		return IntValue(int64(len(members(v))))
	case List:
		n := int64(0)
		event.Members(v.str(), func(string, event.Span) bool { n++; return true })
		return IntValue(n)
	}
	return fail("size needs text, a list or an object, got %s", v.kind)
}

func toDouble(v Value) Value {
	switch v.kind {
	case Int, Double:
		x, _ := v.float()
		return DoubleValue(x)
	case Text:
		x, err := strconv.ParseFloat(v.str(), 64)
		if err != nil {
			return fail("double: the text is no number")
		}
		return DoubleValue(x)
	}
	return fail("double needs a number or text, got %s", v.kind)
}

func textTest(name string, test func(s, t string) bool) func(v, w Value) Value {
	return func(v, w Value) Value {
		if v.kind != Text || w.kind != Text {
			return fail("%s needs two texts, got %s and %s", name, v.kind, w.kind)
		}
		return BoolValue(test(v.str(), w.str()))
	}
}

// equal is CEL's ==: values of different kinds differ, except that whole numbers and doubles compare by value.
func equal(v, w Value) bool {
	if c, ok := compareNumbers(v, w); ok {
		return c == 0
	}
	if v.kind != w.kind {
		return false
	}
	switch v.kind {
	case Null:
		return true
	case Bool:
		return v.num == w.num
	case Text:
		return v.str() == w.str()
	case Object, List:
		return toCEL(v).Equal(toCEL(w)).Value() == true
	}
	return false
}

func compareNumbers(v, w Value) (int, bool) {
	if v.kind == Int && w.kind == Int {
		return compare(v.int(), w.int()), true
	}
	a, ok1 := v.float()
	b, ok2 := w.float()
	if !ok1 || !ok2 {
		return 0, false
	}
	return compare(a, b), true
}

func compare[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func comparison(symbol string, test func(int) bool) func(v, w Value) Value {
	return func(v, w Value) Value {
		if c, ok := compareNumbers(v, w); ok {
			return BoolValue(test(c))
		}
		switch {
		case v.kind == Text && w.kind == Text:
			return BoolValue(test(strings.Compare(v.str(), w.str())))
		case v.kind == Bool && w.kind == Bool:
			return BoolValue(test(compare(v.int(), w.int())))
		}
		return fail("%q cannot compare %s with %s", symbol, v.kind, w.kind)
	}
}

func arithmetic(symbol string, doubles func(a, b float64) float64, ints func(a, b int64) (int64, bool)) func(v, w Value) Value {
	return func(v, w Value) Value {
		switch {
		case v.kind == Int && w.kind == Int:
			n, ok := ints(v.int(), w.int())
			if !ok {
				return fail("%q overflows or divides by zero", symbol)
			}
			return IntValue(n)
		case v.kind == Double && w.kind == Double:
			return DoubleValue(doubles(math.Float64frombits(v.num), math.Float64frombits(w.num)))
		}
		return fail("%q cannot be applied to %s and %s; number(…) makes doubles of both", symbol, v.kind, w.kind)
	}
}

func addInt(a, b int64) (int64, bool) {
	c := a + b
	return c, (c > a) == (b > 0)
}

func subtractInt(a, b int64) (int64, bool) {
	c := a - b
	return c, (c < a) == (b > 0)
}

func multiplyInt(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	c := a * b
	return c, c/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64)
}

func divideInt(a, b int64) (int64, bool) {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, false
	}
	return a / b, true
}
