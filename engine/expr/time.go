package expr

import "time"

// parseTime reads an ISO 8601 date and time, extended (2021-05-01T10:00:00.5+02:00) or basic
// (20210501T100000Z). Seconds and minutes may be missing, digits behind microseconds are cut off.
//
// A space in place of the T is no ISO 8601 and read only where spaced is true.
func parseTime(s string, spaced bool) (t time.Time, offset, ok bool) {
	p := timeText{s: s}
	year := p.digits(4)
	extended := p.accept('-')
	month := p.digits(2)
	if extended && !p.accept('-') {
		return t, false, false
	}
	day := p.digits(2)
	if !p.accept('T') && !(spaced && p.accept(' ')) {
		return t, false, false
	}
	hour, minute, second, micros := p.digits(2), 0, 0, 0
	if p.accept(':') {
		minute = p.digits(2)
		if p.accept(':') {
			second = p.digits(2)
		}
	} else if p.atDigit() {
		minute = p.digits(2)
		if p.atDigit() {
			second = p.digits(2)
		}
	}
	if p.accept('.') || p.accept(',') {
		micros = p.fraction()
	}
	zone := time.UTC
	switch {
	case p.bad:
	case p.accept('Z'):
		offset = true
	case p.i < len(s) && (s[p.i] == '+' || s[p.i] == '-'):
		sign := 1
		if s[p.i] == '-' {
			sign = -1
		}
		p.i++
		h, m := p.digits(2), 0
		if p.accept(':') || p.atDigit() {
			m = p.digits(2)
		}
		if h > 23 || m > 59 {
			return t, false, false
		}
		offset = true
		if h+m > 0 {
			zone = zoneAt(sign * (h*60 + m))
		}
	}
	if p.bad || p.i != len(s) || year == 0 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return t, false, false
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, zone)
	if t.Day() != day { // 30 February
		return t, false, false
	}
	return t, offset, true
}

// appendTime writes a time as 2006-01-02T15:04:05-07:00, with six decimals where it has microseconds.
func appendTime(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(appendTwo(appendTwo(dst, int64(year/100)), int64(year%100)), '-')
	dst = append(appendTwo(dst, int64(month)), '-')
	dst = append(appendTwo(dst, int64(day)), 'T')
	dst = append(appendTwo(dst, int64(hour)), ':')
	dst = append(appendTwo(dst, int64(minute)), ':')
	dst = appendTwo(dst, int64(second))
	if micros := int64(t.Nanosecond() / 1000); micros != 0 {
		dst = append(dst, '.')
		dst = appendTwo(appendTwo(appendTwo(dst, micros/10000), micros/100%100), micros%100)
	}
	_, offset := t.Zone()
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = append(appendTwo(append(dst, sign), int64(offset/3600)), ':')
	return appendTwo(dst, int64(offset/60%60))
}

// appendCommonTime is parseTime and appendTime for times as they nearly always are, 2021-05-01T10:00:00.123456+02:00
// or …Z; false for all others, good or bad.
func appendCommonTime(dst []byte, s string) ([]byte, bool) {
	const shape = "0000-00-00T00:00:00"
	if len(s) <= len(shape) {
		return dst, false
	}
	for i := range len(shape) {
		if shape[i] == '0' && s[i]-'0' > 9 || shape[i] != '0' && s[i] != shape[i] {
			return dst, false
		}
	}
	year, month, day := 100*two(s, 0)+two(s, 2), two(s, 5), two(s, 8)
	if year == 0 || month-1 > 11 || day-1 > 27 || two(s, 11) > 23 || two(s, 14) > 59 || two(s, 17) > 59 {
		return dst, false // the last days of months are left to parseTime
	}
	start, rest := len(dst), s[len(shape):]
	dst = append(dst, s[:len(shape)]...)
	if rest[0] == '.' {
		n, any := 1, byte(0)
		for n < len(rest) && rest[n]-'0' <= 9 {
			any |= rest[n] - '0'
			n++
		}
		if n < 2 || n > 7 || n == len(rest) {
			return dst[:start], false
		}
		if any != 0 {
			dst = append(append(dst, rest[:n]...), "000000"[n-1:]...)
		}
		rest = rest[n:]
	}
	if rest == "Z" || rest == "+00:00" {
		return append(dst, "+00:00"...), true
	}
	if len(rest) != 6 || rest[0] != '+' && rest[0] != '-' || rest[3] != ':' || rest == "-00:00" {
		return dst[:start], false
	}
	for _, i := range [...]int{1, 2, 4, 5} {
		if rest[i]-'0' > 9 {
			return dst[:start], false
		}
	}
	if two(rest, 1) > 23 || two(rest, 4) > 59 {
		return dst[:start], false
	}
	return append(dst, rest...), true
}

// two is the number of the two digits at s[i].
func two(s string, i int) uint { return 10*uint(s[i]-'0') + uint(s[i+1]-'0') }

// zones holds the quarter-hour offsets, which are all that events carry in practice.
var zones = func() (z [8 * 24]*time.Location) {
	for i := range z {
		z[i] = time.FixedZone("", (i-len(z)/2)*15*60)
	}
	return z
}()

func zoneAt(minutes int) *time.Location {
	if i := minutes/15 + len(zones)/2; minutes%15 == 0 && i >= 0 && i < len(zones) {
		return zones[i]
	}
	return time.FixedZone("", minutes*60)
}

type timeText struct {
	s   string
	i   int
	bad bool
}

func (p *timeText) atDigit() bool { return p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' }

func (p *timeText) digits(n int) (v int) {
	for range n {
		if !p.atDigit() {
			p.bad = true
			return 0
		}
		v = v*10 + int(p.s[p.i]-'0')
		p.i++
	}
	return v
}

func (p *timeText) fraction() (micros int) {
	if !p.atDigit() {
		p.bad = true
	}
	for unit := 100000; p.atDigit(); p.i++ {
		micros += int(p.s[p.i]-'0') * unit
		unit /= 10
	}
	return micros
}

func (p *timeText) accept(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}
