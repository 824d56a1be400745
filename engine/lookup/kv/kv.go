// Package kv finds users and courses in two key-value buckets of NATS, which
// [Load] fills from a look-up file, and the site with whatever it publishes.
//
// The values are JSON objects, those of the lists of a look-up file:
//
//	{"id": 7, "username": "ada", "email": "ada@example.com", "external_ids": {"xapi": UUID, "caliper": UUID, "lti": UUID}}
//	{"id": "course-v1:edX+DemoX+2025", "display_name": "Demonstration Course"}
//
// A user is kept whole under two keys, id.7 and name.ada; a course under its
// id. In names and course ids, all bytes but ASCII letters, digits, _ and - are
// written as = and two upper-case hexadecimal digits:
//
//	course-v1=3AedX=2BDemoX=2B2025
//
// Whoever renames a user deletes the key of the old name.
package kv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The buckets that are used where no others are named.
const (
	DefaultUsers   = "erb_users"
	DefaultCourses = "erb_courses"
)

// markers is how long a bucket that [Ensure] made remembers that a key was deleted.
const markers = time.Hour

// Errors of this package, for errors.Is. All others are what NATS said.
var (
	// ErrNoBucket: a bucket does not exist.
	ErrNoBucket = errors.New("no bucket of look-ups")
	// ErrRecord: a value is not of the form that its key asks for. The site has
	// to write it anew; until then the look-up fails as if the bucket were down.
	ErrRecord = errors.New("unreadable record in a bucket of look-ups")
)

// Buckets names the two buckets.
type Buckets struct {
	// Users and Courses default to [DefaultUsers] and [DefaultCourses].
	Users, Courses string
	// Replicas is 1 (default), or 3 or 5 on a cluster; for buckets that are made.
	Replicas int
}

func (b Buckets) names() [2]string {
	return [2]string{cmp.Or(b.Users, DefaultUsers), cmp.Or(b.Courses, DefaultCourses)}
}

// Ensure makes the buckets that are not there, and leaves the others as they are.
func (b Buckets) Ensure(ctx context.Context, js jetstream.JetStream) error {
	for i, name := range b.names() {
		_, err := js.KeyValue(ctx, name)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			_, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
				Bucket: name, Description: [...]string{"users of the lms", "courses of the lms"}[i],
				Storage: jetstream.FileStorage, History: 1, Replicas: max(b.Replicas, 1), LimitMarkerTTL: markers,
			})
			if errors.Is(err, jetstream.ErrBucketExists) { // another process was faster
				err = nil
			}
		}
		if err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return nil
}

// open returns the buckets. Error: [ErrNoBucket].
func (b Buckets) open(ctx context.Context, js jetstream.JetStream) (users, courses jetstream.KeyValue, err error) {
	var kvs [2]jetstream.KeyValue
	for i, name := range b.names() {
		kvs[i], err = js.KeyValue(ctx, name)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil, nil, fmt.Errorf("%w: %s does not exist: fill it with erbd lookup load", ErrNoBucket, name)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return kvs[0], kvs[1], nil
}
