package diag

import (
	"strings"
	"unicode/utf8"
)

// maxSuggestRunes bounds the words that Suggest compares; nobody mistypes a longer one by a letter.
const maxSuggestRunes = 64

// Suggest returns the candidate that word is most likely a misspelling of, or "" if none is near enough.
//
// The distance is Damerau-Levenshtein in runes (an insertion, deletion, substitution or swap of two neighbours costs
// one), ignoring case at first; it may be at most one for words of up to four runes, two up to eight, three beyond.
// A word that only lacks or adds separators ('_', '-', '.', ' ') is always near. Ties go to the candidate that
// shares the longer beginning, then to the smaller string, whatever the order of the candidates. A candidate equal
// to word is never returned.
func Suggest(word string, candidates []string) string {
	n := utf8.RuneCountInString(word)
	if n == 0 || n > maxSuggestRunes {
		return ""
	}
	bound := 3
	switch {
	case n <= 4:
		bound = 1
	case n <= 8:
		bound = 2
	}
	lower := []rune(strings.ToLower(word))
	squeezed := squeeze(word)
	best, bestDist, bestPrefix := "", bound+1, 0
	for _, c := range candidates {
		m := utf8.RuneCountInString(c)
		if c == word || m == 0 || m > maxSuggestRunes {
			continue
		}
		dist := 0
		cl := []rune(strings.ToLower(c))
		if squeezed == "" || squeeze(c) != squeezed {
			if m-n > bound || n-m > bound {
				continue
			}
			dist = distance(lower, cl)
			// A short word must keep at least one of its letters.
			if dist > bound || dist >= n || dist >= m {
				continue
			}
		}
		prefix := commonPrefix(lower, cl)
		if dist < bestDist || dist == bestDist && (prefix > bestPrefix || prefix == bestPrefix && c < best) {
			best, bestDist, bestPrefix = c, dist, prefix
		}
	}
	return best
}

// DidYouMean returns the hint `did you mean "candidate"?` for what [Suggest] finds, or "".
func DidYouMean(word string, candidates []string) string {
	if s := Suggest(word, candidates); s != "" {
		return `did you mean "` + s + `"?`
	}
	return ""
}

// squeeze drops separators and case.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '_', '-', '.', ' ':
			return -1
		}
		return r
	}, strings.ToLower(s))
}

func commonPrefix(a, b []rune) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// distance is the optimal string alignment distance, with three rows.
func distance(a, b []rune) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
