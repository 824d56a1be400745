// Package lookup knows the users and courses of the LMS that the events name.
//
// A [Source] answers from what an operator exported ([LoadFile]) or from a
// server, through a [Cache]; a [Directory] puts the rules on top: which keys are valid, and what to
// do about users and courses that nobody knows.
package lookup

import (
	"context"
	"errors"
	"fmt"
)

// The types of external ids that each user of the LMS has.
const (
	TypeXAPI    = "xapi"
	TypeCaliper = "caliper"
	TypeLTI     = "lti"
)

// Errors of sources and directories; test for them with errors.Is. None of
// them, and no text that wraps them, holds the key: it may be personal data.
var (
	// ErrNotFound is what a [Source] answers for a key that it does not have.
	// Any other error of a source is taken as transient.
	ErrNotFound = errors.New("not found")
	// ErrUnknownUser: the user is absent, or unknown and not to be given a pseudonym.
	ErrUnknownUser = errors.New("unknown user")
	// ErrRetiredUser: the account was retired and is refused; it is an ErrUnknownUser too.
	ErrRetiredUser = fmt.Errorf("%w: the account is retired", ErrUnknownUser)
	// ErrUnknownCourse: the course id is well formed, but no such course exists.
	ErrUnknownCourse = errors.New("unknown course")
	// ErrBadCourseID: the text is no course id.
	ErrBadCourseID = errors.New("malformed course id")
)

// User is one account of the LMS. Users are shared between callers: read-only.
type User struct {
	// ID is the number of the account, 0 where it is not known.
	ID int64
	// Username is the login name, "" where it is not known.
	Username string
	// Email is the address, "" where it is not known.
	Email string
	// ExternalIDs holds the UUID of the user for each type (xapi, caliper, lti).
	ExternalIDs map[string]string
}

// Course is one course of the LMS. Courses are shared between callers: read-only.
type Course struct {
	// ID is the course id, an opaque key such as course-v1:edX+DemoX+2025.
	ID string
	// DisplayName is the title that learners see.
	DisplayName string
}

// Source finds users and courses. Its methods return [ErrNotFound] for what
// does not exist; any other error is transient. Implementations are safe for
// concurrent use.
type Source interface {
	// User finds a user by id, written in decimal, or by user name. A key of
	// digits is an id first; where no account has it, it is a user name.
	User(ctx context.Context, key string) (*User, error)
	// Course finds a course by its id.
	Course(ctx context.Context, id string) (*Course, error)
}

// userID returns the id that a key of up to 18 ASCII digits stands for.
func userID(key string) (int64, bool) {
	if len(key) == 0 || len(key) > 18 {
		return 0, false
	}
	var id int64
	for i := range len(key) {
		c := key[i] - '0'
		if c > 9 {
			return 0, false
		}
		id = id*10 + int64(c)
	}
	return id, true
}
