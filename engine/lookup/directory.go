package lookup

import (
	"context"
	"errors"
	"fmt"
)

// What to do about users and courses that the source does not know.
const (
	// Reject refuses the event: [ErrUnknownUser], [ErrUnknownCourse].
	Reject = "reject"
	// Pseudonym gives an unknown user ids that follow from the key and the secret.
	Pseudonym = "pseudonym"
	// CourseID names an unknown course by its id.
	CourseID = "course_id"
)

// Options of a [Directory].
type Options struct {
	// UnknownUsers is [Reject] or [Pseudonym]. Default: Reject with a source,
	// Pseudonym without.
	UnknownUsers string
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
	users      *memo[User]   // pseudonyms
	courses    *memo[Course] // courses named by their ids
}

// NewDirectory returns a directory over source, which may be nil. The error
// names an option that is not one of its values.
func NewDirectory(source Source, opt Options) (*Directory, error) {
	d := &Directory{
		source: source, pseudonyms: newPseudonyms(opt.Secret),
		users: newMemo[User](), courses: newMemo[Course](),
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
// that is no id is tried as a user name. The empty key is nobody, whatever the
// policy. Errors: [ErrUnknownUser]; anything else is transient.
func (d *Directory) User(ctx context.Context, key string) (*User, error) {
	if key == "" {
		return nil, ErrUnknownUser
	}
	if d.source != nil {
		u, err := d.source.User(ctx, key)
		if err == nil {
			return u, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("look up user: %w", err)
		}
	}
	if !d.pseudonym {
		return nil, ErrUnknownUser
	}
	return d.users.get(key, func(key string) (*User, bool) {
		return d.pseudonyms.user(key), len(key) <= maxMemoKey
	}), nil
}

// maxMemoKey is the longest key that is remembered, in bytes: events choose the keys.
const maxMemoKey = 512

// Course returns the course with the id. Errors: [ErrBadCourseID] for what is
// no course id ([ValidCourseID]), [ErrUnknownCourse]; anything else is transient.
func (d *Directory) Course(ctx context.Context, id string) (*Course, error) {
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
