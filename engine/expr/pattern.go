package expr

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// pattern is a regular expression of bounded size.
type pattern struct {
	*regexp.Regexp
	size int // instructions of its program
}

// compileRegexp compiles a regular expression of RE2 whose program has at most maxProgram instructions.
func compileRegexp(text string) (*pattern, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if n := len(program.Inst); n > maxProgram {
		return nil, fmt.Errorf("it takes %d steps a character, at most %d are allowed: x{1000} counts as often as it says", n, maxProgram)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	return &pattern{re, len(program.Inst)}, nil
}

// steps is what searching a text takes at most; a step of the machine is as much as several bytes.
func (p *pattern) steps(text string) int { return 4 * p.size * len(text) }

// matches is text.matches(pattern).
func (p *pattern) matches(f *Frame, v Value) Value {
	if v.kind != Text {
		return wrongKind("matches", "text", v)
	}
	if !f.spend(p.steps(v.str())) {
		return failWith(f.over)
	}
	return BoolValue(p.MatchString(v.str()))
}
