package daemon

import "slices"

// maxSpans bounds what places keeps: twice as many spans, about a megabyte.
const maxSpans = 1 << 15

// places is a set of places in a stream, kept as spans: a daemon by itself has few, those of what is under way; of
// several that share a stream each has many. Beyond maxSpans the lowest ones are taken for one. It is not safe for
// concurrent use.
type places struct{ spans []span }

// span is the places from first to last.
type span struct{ first, last uint64 }

// add adds a place and reports whether it was not there.
func (p *places) add(seq uint64) bool {
	i, in := slices.BinarySearchFunc(p.spans, seq, func(s span, seq uint64) int {
		switch {
		case s.last < seq:
			return -1
		case s.first > seq:
			return 1
		}
		return 0
	})
	if in {
		return false
	}
	left := i > 0 && p.spans[i-1].last+1 == seq
	right := i < len(p.spans) && p.spans[i].first == seq+1
	switch {
	case left && right:
		p.spans[i-1].last = p.spans[i].last
		p.spans = slices.Delete(p.spans, i, i+1)
	case left:
		p.spans[i-1].last = seq
	case right:
		p.spans[i].first = seq
	default:
		p.spans = slices.Insert(p.spans, i, span{seq, seq})
	}
	if n := len(p.spans) - maxSpans; n > maxSpans {
		p.spans[n].first = p.spans[0].first
		p.spans = slices.Delete(p.spans, 0, n)
	}
	return true
}
