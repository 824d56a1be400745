package mapping

// Part is a piece of the text of a scalar: an expression, or what stands between expressions.
type Part struct {
	// Expression is true for what stands inside ${…}; From and To do not include the braces.
	Expression bool
	// From and To are byte offsets in the text.
	From, To int
}

// Parts cuts the text of a scalar as the language does. It is nil where a ${ is never closed.
func Parts(text string) (out []Part) {
	parts, bad := split(text)
	if bad >= 0 {
		return nil
	}
	at := 0
	for _, p := range parts {
		if !p.isExpr {
			continue
		}
		if from := p.from - len("${"); from > at {
			out = append(out, Part{From: at, To: from})
		}
		out = append(out, Part{Expression: true, From: p.from, To: p.to})
		at = p.to + len("}")
	}
	if at < len(text) {
		out = append(out, Part{From: at, To: len(text)})
	}
	return out
}
