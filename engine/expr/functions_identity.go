package expr

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/uuid"

	"github.com/erbd/erbd/engine/lookup"
)

var identityFunctions = []*Function{
	{
		Name: "iri", Params: []Param{dyn("root"), text("type"), dyn("id")}, Result: cel.DynType,
		Doc:     "root/type/id; null where the id is null. Objects and lists are refused as ids.",
		Example: `iri("http://localhost:18000", "xblock", get("data.id"))`, Gives: `"http://localhost:18000/xblock/c519"`,
		run: func(f *Frame, args []Value) Value {
			if args[2].kind == Null {
				return NullValue
			}
			if args[0].kind != Text {
				return wrongKind("iri", "text as root", args[0])
			}
			start := len(f.scratch)
			dst := append(append(append(append(f.scratch, args[0].str()...), '/'), args[1].str()...), '/')
			dst, ok := args[2].AppendText(dst)
			if !ok {
				return wrongKind("iri", "text as id", args[2])
			}
			f.scratch = dst
			return TextValue(f.since(start))
		},
	},
	{
		Name: "block_id", Params: []Param{dyn("course"), text("type"), dyn("block")}, Result: cel.DynType,
		Doc:     "The id of a block of a course, from the course id and the block's own part: block-v1:ORG+C+R+type@T+block@B, with the version of the course id, and ccx- in front for custom courses. Null where the course or the block is null.",
		Example: `block_id("course-v1:edX+DemoX+2021", "video", "c519")`, Gives: `"block-v1:edX+DemoX+2021+type@video+block@c519"`,
		run: func(f *Frame, args []Value) Value {
			start := len(f.scratch)
			dst, v := appendBlockID(f.scratch, args[0], args[1], args[2])
			if f.scratch = dst; v.kind == Text {
				v = TextValue(f.since(start))
			}
			return v
		},
		write: func(args []lowered) TextWriter {
			course, kind, block := args[0].node, args[1].node, args[2].node
			return func(f *Frame, dst []byte) ([]byte, Value) {
				c := course(f)
				if c.kind == Failed {
					return dst, c
				}
				k := kind(f)
				if k.kind == Failed {
					return dst, k
				}
				b := block(f)
				if b.kind == Failed {
					return dst, b
				}
				return appendBlockID(dst, c, k, b)
			}
		},
	},
	{
		Name: "uuid5", Params: []Param{dyn("namespace"), dyn("name")}, Result: cel.DynType,
		Doc:     "The version 5 UUID of a name in a namespace, which is a UUID as text. Null where the name is null.",
		Example: `uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "python.org")`, Gives: `"886313e1-3b8a-5372-9b90-0c9aee199e5d"`,
		two: func(f *Frame, first, second Value) Value {
			ns, name := first, second
			if name.kind == Null {
				return NullValue
			}
			if ns.kind != Text || name.kind != Text {
				return notTexts(ns, name)
			}
			space, err := uuid.Parse(ns.str())
			if err != nil {
				return fail("uuid5: the namespace is no UUID")
			}
			start := len(f.scratch)
			f.scratch = append(append(f.scratch, space[:]...), name.str()...)
			f.scratch = appendUUID5(f.scratch[:start], f.scratch[start:])
			return plainValue(f.since(start))
		},
		write: writeUUID5,
	},
	{
		Name: "sha1_hex", Params: []Param{dyn("text")}, Result: cel.DynType,
		Doc:     "The SHA-1 of a text in hexadecimal digits. Null stays null.",
		Example: `sha1_hex("abc")`, Gives: `"a9993e364706816aba3e25717850c26c9cd0d89d"`,
		one: func(f *Frame, arg Value) Value {
			switch arg.kind {
			case Null:
				return NullValue
			case Text:
			default:
				return wrongKind("sha1_hex", "text", arg)
			}
			sum := sha1.Sum([]byte(arg.str()))
			return TextValue(f.build(func(dst []byte) []byte { return hex.AppendEncode(dst, sum[:]) }))
		},
	},
	{
		Name: "user", Params: []Param{dyn("key"), literal("field")}, Result: cel.DynType, impure: true,
		Doc:     "A field of an LMS user, who is named by id or username: id, username, email, or the external id of a type (xapi, caliper, lti). An unknown user rejects the event.",
		Example: `user(get("context.username"), "username")`, Gives: `"learner1"`,
		two: func(f *Frame, first, second Value) Value {
			u, failed := f.user(first)
			if failed != nil {
				return failWith(failed)
			}
			return userField(u, second.str())
		},
	},
	{
		Name: "user_or", Params: []Param{dyn("key"), literal("field"), dyn("other")}, Result: cel.DynType, impure: true,
		Doc:     "Like user, but an absent or unknown user, or one without the field, gives the third argument.",
		Example: `user_or("nobody", "email", "unknown@example.com")`, Gives: `"unknown@example.com"`,
		run: func(f *Frame, args []Value) Value {
			u, failed := f.user(args[0])
			switch {
			case failed != nil && failed.Transient:
				return failWith(failed)
			case failed != nil:
				return args[2]
			}
			if v := userField(u, args[1].str()); v.kind != Null && v.kind != Failed {
				return v
			}
			return args[2]
		},
	},
	{
		Name: "course_name", Params: []Param{dyn("id")}, Result: cel.DynType, impure: true,
		Doc:     "The display name of a course. An unknown course or a malformed id rejects the event; null stays null.",
		Example: `course_name("course-v1:edX+DemoX+2021")`, Gives: `"Demonstration Course"`,
		one: func(f *Frame, arg Value) Value {
			if arg.kind == Null {
				return NullValue
			}
			id, ok := arg.Text()
			if !ok {
				return wrongKind("course_name", "a course id", arg)
			}
			if f.directory == nil {
				return fail("there is no directory of courses")
			}
			c, err := f.directory.Course(f.ctx, id)
			switch {
			case err == nil:
				return TextValue(c.DisplayName)
			case errors.Is(err, lookup.ErrUnknownCourse):
				return failWith(&Failure{Reason: "the course is unknown", Err: err})
			case errors.Is(err, lookup.ErrBadCourseID):
				return failWith(&Failure{Reason: "the course id is malformed", Err: err})
			}
			return failWith(&Failure{Reason: "the course could not be looked up", Err: err, Transient: true})
		},
	},
}

// appendBlockID appends the id of a block; the value is a Text if it did.
func appendBlockID(dst []byte, course, kind, block Value) ([]byte, Value) {
	if course.kind == Null || block.kind == Null {
		return dst, NullValue
	}
	if course.kind != Text {
		return dst, wrongKind("block_id", "text as course id", course)
	}
	id := course.str()
	colon := strings.IndexByte(id, ':')
	if colon < 0 {
		return dst, fail("block_id: the course id has no version, such as course-v1:")
	}
	version, run := id[:colon], id[colon+1:]
	if end := strings.IndexByte(run, ':'); end >= 0 {
		run = run[:end]
	}
	start := len(dst)
	if version != "course-v1" && strings.Contains(version, "ccx") {
		dst = append(dst, "ccx-"...)
	}
	dst = append(dst, "block-"...)
	dst = append(dst, version[strings.LastIndexByte(version, '-')+1:]...)
	dst = append(append(dst, ':'), run...)
	dst = append(append(dst, "+type@"...), kind.str()...)
	dst = append(dst, "+block@"...)
	dst, ok := block.AppendText(dst)
	if !ok {
		return dst[:start], wrongKind("block_id", "text as block", block)
	}
	return dst, course
}

// user looks up a user by a key of the event.
func (f *Frame) user(key Value) (*lookup.User, *Failure) {
	var name string
	switch key.kind {
	case Null, Text: // null is who has not logged in; the directory decides about that
		name = key.str()
	case Int:
		name = f.build(func(dst []byte) []byte { return strconv.AppendInt(dst, key.int(), 10) })
	case Double:
		// A database takes the whole part of a fractional id, and so the reference did.
		x, _ := key.float()
		if math.Abs(x) >= 1<<53 {
			return nil, &Failure{Reason: "user: the user id is out of range"}
		}
		name = f.build(func(dst []byte) []byte { return strconv.AppendInt(dst, int64(x), 10) })
	case Bool:
		// So does a database with true and false.
		name = "0"
		if key.num != 0 {
			name = "1"
		}
	case Failed:
		return nil, key.Failure()
	default:
		return nil, &Failure{Reason: "user: expected a user id or name, got " + key.kind.String()}
	}
	if f.directory == nil {
		return nil, &Failure{Reason: "there is no directory of users"}
	}
	u, err := f.directory.User(f.ctx, name)
	switch {
	case err == nil:
		return u, nil
	case errors.Is(err, lookup.ErrUnknownUser) && name == "":
		return nil, &Failure{Reason: "the event names no user", Err: ErrRejected}
	case errors.Is(err, lookup.ErrUnknownUser):
		return nil, &Failure{Reason: "the user is unknown", Err: err}
	}
	return nil, &Failure{Reason: "the user could not be looked up", Err: err, Transient: true}
}

func userField(u *lookup.User, field string) Value {
	var s string
	switch field {
	case "id":
		return IntValue(u.ID)
	case "username":
		s = u.Username
	case "email":
		s = u.Email
	default:
		if s = u.ExternalIDs[field]; s == "" {
			return fail("the user has no external id of type %q", field)
		}
	}
	if s == "" {
		return NullValue
	}
	return TextValue(s)
}

func notTexts(ns, name Value) Value {
	return fail("uuid5: expected two texts, got %s and %s", ns.kind, name.kind)
}

// writeUUID5 writes the name behind the namespace and hashes both, so that the name is never a value of its own.
func writeUUID5(args []lowered) TextWriter {
	name := args[1].writer()
	var space uuid.UUID
	known := false
	if c := args[0].konst; c != nil && c.kind == Text {
		var err error
		space, err = uuid.Parse(c.str())
		known = err == nil
	}
	namespace := args[0].node
	return func(f *Frame, dst []byte) ([]byte, Value) {
		u := space
		var ns Value
		if !known {
			if ns = namespace(f); ns.kind == Failed {
				return dst, ns
			}
		}
		input, v := name(f, append(f.Borrow(), u[:]...))
		switch {
		case v.kind == Null || v.kind == Failed:
		case v.kind != Text || !known && ns.kind != Text:
			if known {
				ns.kind = Text
			}
			v = notTexts(ns, v)
		default:
			var err error
			if !known {
				u, err = uuid.Parse(ns.str())
				copy(input, u[:])
			}
			if err != nil {
				v = fail("uuid5: the namespace is no UUID")
				break
			}
			dst = appendUUID5(dst, input)
		}
		f.Return(input)
		return dst, v
	}
}

// appendUUID5 appends the UUID of a namespace with a name behind it.
func appendUUID5(dst, input []byte) []byte {
	sum := sha1.Sum(input)
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return appendUUID(dst, sum[:16])
}

func appendUUID(dst, u []byte) []byte {
	dst = hex.AppendEncode(dst, u[0:4])
	dst = hex.AppendEncode(append(dst, '-'), u[4:6])
	dst = hex.AppendEncode(append(dst, '-'), u[6:8])
	dst = hex.AppendEncode(append(dst, '-'), u[8:10])
	return hex.AppendEncode(append(dst, '-'), u[10:16])
}
