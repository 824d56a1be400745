package expr

import (
	"math"
	"strconv"
	"time"

	"github.com/google/cel-go/cel"
)

var numberFunctions = []*Function{
	{
		Name: "number", Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "A number as a double, so that it can be computed with. Null stays null; anything else is refused.",
		Example: `number(get("data.duration")) / 2.0`, Gives: `97.5`,
		one: func(f *Frame, arg Value) Value {
			if arg.kind == Null {
				return NullValue
			}
			x, ok := arg.float()
			if !ok {
				return wrongKind("number", "a number", arg)
			}
			return DoubleValue(x)
		},
	},
	{
		Name: "seconds", Params: []Param{dyn("value")}, Result: cel.DynType,
		Doc:     "Seconds as a double, rounded to milliseconds. Null stays null; anything but a number is refused.",
		Example: `seconds(69.85559520079471)`, Gives: `69.856`,
		one: func(f *Frame, arg Value) Value {
			if arg.kind == Null {
				return NullValue
			}
			x, ok := arg.float()
			if !ok {
				return wrongKind("seconds", "a number of seconds", arg)
			}
			return DoubleValue(roundMillis(x))
		},
	},
	{
		Name: "duration_iso", Params: []Param{dyn("seconds")}, Result: cel.DynType,
		Doc:     "Seconds as an ISO 8601 duration, rounded to microseconds: PT1H2M3.5S, P0D for nothing. Null stays null.",
		Example: `duration_iso(195)`, Gives: `"PT3M15S"`,
		one: durationFunction("duration_iso", appendDuration),
	},
	{
		Name: "duration_iso_padded", Params: []Param{dyn("seconds")}, Result: cel.DynType,
		Doc:     "Seconds as an ISO 8601 duration with two digits for hours, minutes and whole seconds: PT03M15S, PT00S for nothing. Null stays null.",
		Example: `duration_iso_padded(195)`, Gives: `"PT03M15S"`,
		one: durationFunction("duration_iso_padded", appendDurationPadded),
	},
	{
		Name: "time_iso", Params: []Param{dyn("time")}, Result: cel.DynType,
		Doc:     "An ISO 8601 time with its own offset: +00:00 instead of Z, six decimals or none. A number is seconds since 1970. A time without an offset is refused; null stays null.",
		Example: `time_iso("2019-01-17T01:11:14.288Z")`, Gives: `"2019-01-17T01:11:14.288000+00:00"`,
		one: timeISO, write: writeTimeISO,
	},
	{
		Name: "time_utc", Params: []Param{dyn("time")}, Result: cel.DynType,
		Doc:     "An ISO 8601 time in UTC with milliseconds, the rest cut off. A time without an offset counts as UTC, and a space may stand for the T; null stays null.",
		Example: `time_utc("2021-08-23T16:43:27.836565-08:00")`, Gives: `"2021-08-24T00:43:27.836Z"`,
		one: timeFunction("time_utc", false, func(f *Frame, t time.Time) Value {
			if year := t.UTC().Year(); year < 1 || year > 9999 {
				return fail("time_utc: the time is out of range in UTC")
			}
			return TextValue(f.build(func(dst []byte) []byte {
				return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
			}))
		}),
	},
}

var timeISOAny = timeFunction("time_iso", true, func(f *Frame, t time.Time) Value {
	start := len(f.scratch)
	f.scratch = appendTime(f.scratch, t)
	return plainValue(f.since(start))
})

func timeISO(f *Frame, arg Value) Value {
	if arg.kind == Text {
		start := len(f.scratch)
		if dst, ok := appendCommonTime(f.scratch, arg.str()); ok {
			f.scratch = dst
			return plainValue(f.since(start))
		}
	}
	return timeISOAny(f, arg)
}

func writeTimeISO(args []lowered) TextWriter {
	arg := args[0].node
	return func(f *Frame, dst []byte) ([]byte, Value) {
		v := arg(f)
		if v.kind == Text {
			var ok bool
			if dst, ok = appendCommonTime(dst, v.str()); ok {
				return dst, v
			}
		}
		if v.kind != Failed {
			v = timeISOAny(f, v)
		}
		if v.kind == Text {
			dst = append(dst, v.str()...)
		}
		return dst, v
	}
}

// roundMillis rounds the decimal digits of x half to even, as printing with three decimals does.
func roundMillis(x float64) float64 {
	if math.Abs(x) >= 1<<53 {
		return x
	}
	// Where x is not close to the middle of two thousandths, there is nothing to decide.
	if y := x * 1000; math.Abs(y) < 1e12 {
		n := math.Round(y)
		if d := math.Abs(y - n); d < 0.499 {
			return n / 1000
		}
	}
	var buf [32]byte
	r, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], x, 'f', 3, 64)), 64)
	if err != nil {
		return x
	}
	return r
}

func durationFunction(name string, write func(dst []byte, negative bool, days, hours, minutes, seconds, micros int64) []byte) func(f *Frame, arg Value) Value {
	return func(f *Frame, arg Value) Value {
		if arg.kind == Null {
			return NullValue
		}
		x, ok := arg.float()
		if !ok {
			return wrongKind(name, "a number of seconds", arg)
		}
		// Nothing that lasts longer than a thousand million days is a duration in any event.
		if math.Abs(x) > 1e9*86400 {
			return fail("%s: the number of seconds is out of range", name)
		}
		total := int64(math.RoundToEven(math.Abs(x) * 1e6))
		s, micros := total/1e6, total%1e6
		return TextValue(f.build(func(dst []byte) []byte {
			return write(dst, x < 0 && total > 0, s/86400, s/3600%24, s/60%60, s%60, micros)
		}))
	}
}

func appendDuration(dst []byte, negative bool, days, hours, minutes, seconds, micros int64) []byte {
	if negative {
		dst = append(dst, '-')
	}
	dst = append(dst, 'P')
	if days > 0 {
		dst = append(strconv.AppendInt(dst, days, 10), 'D')
	}
	if hours|minutes|seconds|micros == 0 {
		if days == 0 {
			dst = append(dst, '0', 'D')
		}
		return dst
	}
	dst = append(dst, 'T')
	if hours > 0 {
		dst = append(strconv.AppendInt(dst, hours, 10), 'H')
	}
	if minutes > 0 {
		dst = append(strconv.AppendInt(dst, minutes, 10), 'M')
	}
	if seconds|micros > 0 {
		dst = append(appendMicros(strconv.AppendInt(dst, seconds, 10), micros), 'S')
	}
	return dst
}

func appendDurationPadded(dst []byte, negative bool, days, hours, minutes, seconds, micros int64) []byte {
	if negative {
		dst = append(dst, '-')
	}
	dst = append(dst, 'P')
	if days > 0 {
		dst = append(strconv.AppendInt(dst, days, 10), 'D')
	}
	if hours|minutes|seconds|micros == 0 && days > 0 {
		return dst
	}
	dst = append(dst, 'T')
	if hours > 0 {
		dst = append(appendTwo(dst, hours), 'H')
	}
	if minutes > 0 {
		dst = append(appendTwo(dst, minutes), 'M')
	}
	if seconds|micros > 0 || hours|minutes == 0 {
		dst = append(appendMicros(appendTwo(dst, seconds), micros), 'S')
	}
	return dst
}

func appendTwo(dst []byte, n int64) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

func appendMicros(dst []byte, micros int64) []byte {
	if micros == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(100000); micros > 0; unit /= 10 {
		dst = append(dst, byte('0'+micros/unit))
		micros %= unit
	}
	return dst
}

// maxUnixTime is the last second of the year 9999.
const maxUnixTime = 253402300799

func timeFunction(name string, needOffset bool, write func(f *Frame, t time.Time) Value) func(f *Frame, arg Value) Value {
	return func(f *Frame, arg Value) Value {
		switch arg.kind {
		case Null:
			return NullValue
		case Int, Double:
			x, _ := arg.float()
			if math.Abs(x) > maxUnixTime {
				return fail("%s: the number of seconds is out of range", name)
			}
			whole, frac := math.Modf(x)
			return write(f, time.Unix(int64(whole), int64(math.Round(frac*1e6))*1000).UTC())
		case Text:
		default:
			return wrongKind(name, "an ISO 8601 time", arg)
		}
		t, offset, ok := parseTime(arg.str(), !needOffset)
		switch {
		case !ok:
			return fail("%s: the text is no ISO 8601 time", name)
		case needOffset && !offset:
			return fail("%s: the time has no offset from UTC", name)
		}
		return write(f, t)
	}
}
