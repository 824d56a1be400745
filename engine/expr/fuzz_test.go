package expr

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
)

// FuzzDifferential evaluates random expressions on random events in both ways: closures and cel-go must give the same
// value, or both none.
func FuzzDifferential(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed, seed*7919)
	}
	scope, err := NewScope([]string{"settings", "a", "b", "c"}, nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, exprSeed, eventSeed uint64) {
		g := grammar{rand.New(rand.NewPCG(exprSeed, 1))}
		source := g.any(4)
		x, faults := scope.Compile(source)
		if len(faults) > 0 {
			return
		}
		g.Rand = rand.New(rand.NewPCG(eventSeed, 2))
		json := g.event()
		vars := NewVariables(map[string]Value{"settings": JSONValue(`{"n":3,"t":"abc","o":{"k":1.5},"l":["x",2]}`)})
		var answers []Value
		for _, bind := range []func(*Binder) (Bound, []Fault){x.Bind, x.BindGeneral} {
			b := &Binder{Scanner: event.NewScanner(), Vars: vars, Lenient: true}
			vars.Add(Variable{Name: "a"})
			vars.Add(Variable{Name: "b"})
			slot := b.Scanner.Path("data.a")
			vars.Add(Variable{Name: "c", Eval: func(f *Frame) Value { return f.slot(slot) }})
			bound, faults := bind(b)
			if len(faults) > 0 {
				return
			}
			frame := NewFrame(directory{})
			frame.Begin(t.Context(), event.Event{JSON: []byte(json)}, b.Scanner)
			frame.Enter(vars)
			frame.Set(0, JSONValue(`{"k":[1,2,{"m":"v"}],"n":null,"t":"abc"}`))
			v := bound.Node(frame)
			if v.kind == Failed {
				require.NotContains(t, v.Failure().Reason, "geheim", "%s\n%s", source, json)
				require.Empty(t, frame.stack, "%s\n%s\n%v", source, json, v.Failure())
			}
			answers = append(answers, v.detached())
			dst, w := bound.AppendJSON(frame, []byte("x"))
			want := append([]byte("x"), v.AppendJSON(nil)...)
			if v.kind == Null || v.kind == Failed {
				want = want[:1]
			}
			require.Equal(t, v.kind, w.kind, "%s\n%s", source, json)
			require.Equal(t, string(want), string(dst), "%s\n%s", source, json)
			if v.kind == Text {
				dst, _ = bound.AppendEscaped(frame, nil)
				require.Equal(t, string(AppendEscaped(nil, v.str())), string(dst), "%s\n%s", source, json)
			}
		}
		closure, general := answers[0], answers[1]
		require.Equal(t, closure.kind, general.kind, "%s\n%s\n%s (%v)\n%s (%v)", source, json, closure.JSON(), closure.Failure(), general.JSON(), general.Failure())
		require.Equal(t, closure.JSON(), general.JSON(), "%s\n%s", source, json)
	})
}

// grammar makes expressions that use what mappings use, mostly with types that fit and sometimes not.
type grammar struct{ *rand.Rand }

func (g grammar) one(of ...string) string { return of[g.IntN(len(of))] }

func (g grammar) path() string {
	return g.one("data.a", "data.b", "data.c", "data.o.k", "data.l", "data.t", "context.t", "name", "data", "data.o", "nothing", "data.b.x.y")
}

func (g grammar) any(depth int) string {
	if depth <= 0 {
		return g.one(
			`null`, `true`, `false`, `0`, `1`, `-7`, `9223372036854775807`, `2u`, `0.0`, `1.5`, `-2.25`, `1e300`, `""`, `"abc"`, `"é\"x"`, `b"abc"`,
			`settings.n`, `settings.t`, `settings.o`, `settings.l`, `settings.o.k`, `settings.no`, `a`, `a.k`, `a["t"]`, `a.k[2].m`, `b`, `c`, `c.k`, `c.m`, `values(c)[0]`, `values(c)[1]`, `values(c)[-1]`, `name`,
			`event.`+g.path(), `event.`+g.path(), `has(event.data.a)`, `has(settings.t)`, `has(a.k)`,
			fmt.Sprintf("get(%q)", g.path()), fmt.Sprintf("get(%q)", g.path()), fmt.Sprintf("get_text(%q)", g.path()), fmt.Sprintf("get_number(%q)", g.path()),
			fmt.Sprintf("find(%q)", g.one("a", "k", "t")), fmt.Sprintf("first(%q, %q)", g.path(), g.path()), fmt.Sprintf("path(%q)", g.one("data.l.0", "data.l.#", "@this", "data.o|@keys")),
			fmt.Sprintf("require(%q)", g.path()),
		)
	}
	switch g.IntN(12) {
	case 0, 1, 2:
		return g.number(depth)
	case 3, 4, 5:
		return g.text(depth)
	case 6, 7:
		return g.bool(depth)
	case 8:
		return "[" + strings.Join([]string{g.any(depth - 1), g.any(depth - 2), g.any(depth - 3)}[:g.IntN(4)], ", ") + "]"
	case 9:
		return fmt.Sprintf(`{"b": %s, "a": %s}`, g.any(depth-1), g.any(depth-2))
	case 10:
		sub := g.any(depth - 1)
		return g.one("("+sub+")[0]", "("+sub+`)["k"]`, "("+sub+").k", "("+sub+").m", "type("+sub+")", "keys("+sub+")", "values("+sub+")", "prune("+sub+")", "merge("+sub+", a)",
			"at("+sub+`, "k.m")`, "first_with("+sub+`, "k")`, "parse_json("+sub+")", `drop_empty(`+sub+`, "k", "m")`, "is_number("+sub+") ? 1 : null", sub+"["+g.any(depth-2)+"]",
			"or_else("+sub+", "+g.any(depth-2)+")", "coalesce("+sub+", "+g.any(depth-2)+", 1)")
	}
	list := g.one(`get("data.l")`, "a.k", "settings.l", "c", "["+g.any(depth-2)+", "+g.any(depth-2)+"]", g.any(depth-1))
	return fmt.Sprintf("(%s).%s(e, %s)", list, g.one("map", "filter", "all", "exists", "exists_one"), g.one("e", "e == "+g.any(depth-2), "is_text(e)", "text(e) + "+g.text(depth-2), g.any(depth-2)))
}

// wild is now and then an expression of any type in place of one that fits.
func (g grammar) wild(depth int) bool { return depth <= 0 || g.IntN(8) == 0 }

func (g grammar) number(depth int) string {
	if g.wild(depth) {
		return g.one("settings.n", "1", "2.5", "number(c)", `number(get("data.b"))`, `get_number("data.c")`, "size(settings.t)", g.any(depth-1))
	}
	a, b := g.number(depth-1), g.number(depth-2)
	return g.one("("+a+g.one(" + ", " - ", " * ", " / ", " % ")+b+")", "(number("+a+")"+g.one(" + ", " - ", " * ", " / ")+"number("+b+"))", "-("+a+")", "size("+g.text(depth-1)+")", "double("+a+")",
		"int("+a+")", "seconds("+a+")", "count("+g.any(depth-1)+")", "("+g.bool(depth-1)+" ? "+a+" : "+b+")", "math.greatest("+a+", "+b+")")
}

func (g grammar) text(depth int) string {
	if g.wild(depth) {
		return g.one("settings.t", `"abc"`, "name", `"é😀"`, "text(c)", `get_text("data.t")`, `"2023-02-03T14:18:20Z"`, `"http://x/?a=é"`, g.any(depth-1))
	}
	a, b := g.text(depth-1), g.text(depth-2)
	two := g.one("trim_end", "trim_start", "before", "after", "before_last", "after_last", "remove", "query_param")
	return g.one("("+a+" + "+b+")", "("+a+" + "+b+" + "+a+")", "text("+g.any(depth-1)+")", two+"("+a+", "+b+")", two+"("+a+`, "a")`, "json_text("+g.any(depth-1)+")", "json_ascii("+g.any(depth-1)+")",
		"sha1_hex("+a+")", "duration_iso("+g.number(depth-1)+")", "duration_iso_padded("+g.number(depth-1)+")", "time_iso("+a+")", "time_utc("+a+")", "join_text(settings.l, "+a+")",
		"("+g.bool(depth-1)+" ? "+a+" : "+b+")", "string("+g.any(depth-1)+")", "("+a+").substring(1)", "("+a+").upperAscii()", `iri("r", "t", `+a+")", `block_id("course-v1:A+B", "t", `+a+")", `block_id(`+a+`, `+b+`, "b")`, `uuid5(`+b+`, `+a+")", `uuid5(uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", `+a+`), `+b+")", `extract(`+a+`, "[a-c]+")`,
		`uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", `+a+")", `user_or(`+a+`, "email", "x")`, `choose({"abc": "1"}, `+a+", "+b+")")
}

func (g grammar) bool(depth int) string {
	if g.wild(depth) {
		return g.one("true", "false", "is_text(c)", "has(event.data.a)", `truthy(get("data.b"))`, "c == null", g.any(depth-1))
	}
	a, b := g.bool(depth-1), g.bool(depth-2)
	op := g.one(" == ", " != ", " < ", " <= ", " > ", " >= ")
	return g.one("("+a+" && "+b+")", "("+a+" || "+b+")", "!("+a+")", "("+g.number(depth-1)+op+g.number(depth-2)+")", "("+g.text(depth-1)+op+g.text(depth-2)+")",
		"("+g.any(depth-1)+g.one(" == ", " != ")+g.any(depth-2)+")", "("+g.any(depth-1)+" in "+g.one("settings.l", `["abc", 1, null]`, "[]", "{}", `{"abc": 1}`, g.any(depth-2))+")",
		"("+g.text(depth-1)+")."+g.one("startsWith", "endsWith", "contains", "matches")+"("+g.one(g.text(depth-2), `"a"`, `"^a.c$"`)+")", "truthy("+g.any(depth-1)+")", "("+a+" ? "+b+" : "+a+")")
}

func (g grammar) event() string {
	return fmt.Sprintf(`{"name":"x","data":{"a":%s,"b":%s,"c":%s,"o":{"k":%s,"k2":null},"l":[%s,%s],"t":%s},"context":{"t":%s}}`,
		g.value(2), g.value(2), g.value(2), g.value(1), g.value(1), g.value(1), g.value(0), g.value(0))
}

func (g grammar) value(depth int) string {
	if depth == 0 || g.IntN(3) > 0 {
		return g.one(`null`, `true`, `false`, `0`, `1`, `195`, `-3`, `1.0`, `1.5`, `0.0`, `1e308`, `9223372036854775807`, `123456789012345678901234567890`, `1e999`,
			`""`, `"abc"`, `"geheim"`, `"12"`, `"é😀"`, `"2023-02-03T14:18:20Z"`, `"a\"\u0041"`, `"[1]"`)
	}
	if g.IntN(2) == 0 {
		return g.one("[", "[ ") + strings.Join([]string{g.value(depth - 1), g.value(depth - 1), g.value(depth - 1)}[:g.IntN(4)], ", ") + "]"
	}
	return `{"k":` + g.value(depth-1) + `,"m":` + g.value(depth-1) + g.one(`}`, `,"k":1}`)
}
