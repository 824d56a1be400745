package lookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What to do about users and courses that the source does not know.
const (
	// Reject refuses the event: [ErrUnknownUser], [ErrUnknownCourse].
	Reject = "reject"
	// Pseudonym gives an unknown user ids that follow from the key and the secret.
	Pseudonym = "pseudonym"
	// CourseID names an unknown course by its id.
	CourseID = "course_id"
	// Keep takes a retired user like any other.
	Keep = "keep"
)

// DefaultRetiredPrefix starts the user names that Open edX gives to retired accounts.
const DefaultRetiredPrefix = "retired__user_"

// Options of a [Directory].
type Options struct {
	// UnknownUsers is [Reject] or [Pseudonym]. Default: Reject with a source,
	// Pseudonym without. With Pseudonym, also a known user gets those of the
	// external ids xapi, caliper and lti that the source does not have.
	UnknownUsers string
	// RetiredUsers is [Keep], [Reject] or [Pseudonym]; default Keep. Retired are
	// accounts whose user name starts with RetiredPrefix. Open edX keeps their
	// account number and external ids, so that what is sent under Keep joins
	// what was sent before they retired. Pseudonym parts the two: other external
	// ids, that follow from account number and secret, and neither name nor
	// address. Reject refuses their events: [ErrRetiredUser].
	RetiredUsers string
	// RetiredPrefix is RETIRED_USERNAME_PREFIX of the LMS; default [DefaultRetiredPrefix].
	RetiredPrefix string
	// AnonymousUsers is [Reject] or [Pseudonym], for the empty key; default
	// Reject. With Pseudonym all who have not logged in are one user.
	AnonymousUsers string
	// UnknownCourses is [Reject] or [CourseID]. Default: Reject with a source,
	// CourseID without.
	UnknownCourses string
	// Secret keys the pseudonyms; who does not have it cannot compute them.
	// Another secret gives other pseudonyms. Empty: [DefaultNamespace].
	Secret []byte
}

// Directory answers who a user is and what a course is called. It is immutable
// and safe for concurrent use.
type Directory struct {
	source     Source // nil: nobody is known
	pseudonyms pseudonyms
	pseudonym  bool
	courseID   bool
	retired    string // Keep, Reject or Pseudonym
	prefix     string
	anonymous  *User           // nil: refused
	users      *memo[User]     // pseudonyms
	completed  *memo[complete] // users with missing ids filled in
	courses    *memo[Course]   // courses named by their ids
}

// complete is a user with all external ids, made from what the source has.
type complete struct{ from, user *User }

// NewDirectory returns a directory over source, which may be nil. The error
// names an option that is not one of its values.
func NewDirectory(source Source, opt Options) (*Directory, error) {
	d := &Directory{
		source: source, pseudonyms: newPseudonyms(opt.Secret), retired: cmp.Or(opt.RetiredUsers, Keep), prefix: cmp.Or(opt.RetiredPrefix, DefaultRetiredPrefix),
		users: newMemo[User](), completed: newMemo[complete](), courses: newMemo[Course](),
	}
	switch opt.UnknownUsers {
	case "":
		d.pseudonym = source == nil
	case Pseudonym:
		d.pseudonym = true
	case Reject:
	default:
		return nil, fmt.Errorf("unknown_users is %q: use %q or %q", opt.UnknownUsers, Reject, Pseudonym)
	}
	switch d.retired {
	case Keep, Reject, Pseudonym:
	default:
		return nil, fmt.Errorf("retired_users is %q: use %q, %q or %q", opt.RetiredUsers, Keep, Reject, Pseudonym)
	}
	switch opt.AnonymousUsers {
	case "", Reject:
	case Pseudonym:
		d.anonymous = d.pseudonyms.user("")
	default:
		return nil, fmt.Errorf("anonymous_users is %q: use %q or %q", opt.AnonymousUsers, Reject, Pseudonym)
	}
	switch opt.UnknownCourses {
	case "":
		d.courseID = source == nil
	case CourseID:
		d.courseID = true
	case Reject:
	default:
		return nil, fmt.Errorf("unknown_courses is %q: use %q or %q", opt.UnknownCourses, Reject, CourseID)
	}
	return d, nil
}

// User returns the user with the id (digits) or user name. A key of digits
// that is no id is tried as a user name. The empty key is who has not logged
// in. Errors: [ErrUnknownUser], which [ErrRetiredUser] is too; anything else is
// transient.
func (d *Directory) User(ctx context.Context, key string) (*User, error) {
	if key == "" {
		if d.anonymous == nil {
			return nil, ErrUnknownUser
		}
		return d.anonymous, nil
	}
	if d.source != nil {
		u, err := d.source.User(ctx, key)
		if err == nil {
			return d.known(key, u)
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("look up user: %w", err)
		}
	}
	if d.retired == Reject && strings.HasPrefix(key, d.prefix) {
		return nil, ErrRetiredUser
	}
	if !d.pseudonym {
		return nil, ErrUnknownUser
	}
	return d.pseudonymOf(key), nil
}

// known applies the policies to a user of the source.
func (d *Directory) known(key string, u *User) (*User, error) {
	if d.retired != Keep && strings.HasPrefix(u.Username, d.prefix) {
		if d.retired == Reject {
			return nil, ErrRetiredUser
		}
		return d.pseudonymOf(u.key()), nil
	}
	if !d.pseudonym || hasAllIDs(u) {
		return u, nil
	}
	fill := func(string) (*complete, bool) {
		all := *u
		all.ExternalIDs = d.pseudonyms.user(u.key()).ExternalIDs
		for kind, id := range u.ExternalIDs {
			if id != "" {
				all.ExternalIDs[kind] = id
			}
		}
		return &complete{u, &all}, len(key) <= maxMemoKey
	}
	c := d.completed.get(key, fill)
	if c.from != u { // the source has changed its answer
		c = d.completed.replace(key, fill)
	}
	return c.user, nil
}

func hasAllIDs(u *User) bool {
	return u.ExternalIDs[TypeXAPI] != "" && u.ExternalIDs[TypeCaliper] != "" && u.ExternalIDs[TypeLTI] != ""
}

// key is what a user's pseudonyms follow from: the number of the account, or its name.
func (u *User) key() string {
	if u.ID != 0 {
		return strconv.FormatInt(u.ID, 10)
	}
	return u.Username
}

func (d *Directory) pseudonymOf(key string) *User {
	return d.users.get(key, func(key string) (*User, bool) {
		return d.pseudonyms.user(key), len(key) <= maxMemoKey
	})
}

// maxMemoKey is the longest key that is remembered, in bytes: events choose the keys.
const maxMemoKey = 512

// Course returns the course with the id. Errors: [ErrBadCourseID] for what is
// no course id ([ValidCourseID]), [ErrUnknownCourse]; anything else is transient.
func (d *Directory) Course(ctx context.Context, id string) (*Course, error) {
	if d.source == nil {
		if c := d.courses.find(id); c != nil { // which none is without being valid
			return c, nil
		}
	}
	if !ValidCourseID(id) {
		return nil, ErrBadCourseID
	}
	if d.source != nil {
		c, err := d.source.Course(ctx, id)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("look up course: %w", err)
		}
	}
	if !d.courseID {
		return nil, ErrUnknownCourse
	}
	return d.courses.get(id, func(id string) (*Course, bool) {
		return &Course{ID: id, DisplayName: id}, len(id) <= maxMemoKey
	}), nil
}
