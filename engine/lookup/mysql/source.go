package mysql

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
	"unicode/utf8"

	driver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/erbd/erbd/engine/lookup"
)

// Columns of the LMS: no longer key can be in them, in characters.
const (
	maxUsername = 150
	maxCourseID = 255
)

// Source is the data base, a [lookup.Backend]. It is safe for concurrent use.
// Close it when done.
type Source struct{ db *sql.DB }

var _ lookup.Backend = (*Source)(nil)

// Open returns the source without connecting: a data base that is down fails
// look-ups, not the start. Error: [ErrConfig].
func Open(c Config) (*Source, error) {
	cfg, err := c.driverConfig()
	if err != nil {
		return nil, err
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil { // as for the DSN
		return nil, fmt.Errorf("%w: lookup.dsn names something unknown, such as a tls configuration", ErrConfig)
	}
	db := sql.OpenDB(readOnly{connector})
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(10 * time.Minute) // notices a moved data base
	return &Source{db}, nil
}

// readOnly makes connections whose sessions cannot write.
type readOnly struct{ sqldriver.Connector }

func (r readOnly) Connect(ctx context.Context) (sqldriver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	e, ok := c.(sqldriver.ExecerContext)
	if !ok {
		_ = c.Close()
		return nil, errors.New("the mysql driver cannot execute statements")
	}
	if _, err := e.ExecContext(ctx, "SET SESSION TRANSACTION READ ONLY", nil); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Close closes all connections.
func (s *Source) Close() error { return s.db.Close() }

// Check connects and sees that all tables and columns can be read. Errors:
// [ErrSchema], or what the server or the network said.
func (s *Source) Check(ctx context.Context) error {
	for _, query := range [...]string{selectByID(1), selectByName(1), selectCourses(1)} {
		rows, err := s.db.QueryContext(ctx, query, 0)
		if err != nil {
			return explain(err)
		}
		err = errors.Join(rows.Err(), rows.Close())
		if err != nil {
			return explain(err)
		}
	}
	return nil
}

// Users implements [lookup.Backend]: with one question for all that may be ids,
// and one for all that may be names. User names must match exactly, in letters,
// accents and case, as in the other sources. The answer has each user by id and
// by name.
func (s *Source) Users(ctx context.Context, keys []string) (map[string]lookup.Answer[lookup.User], error) {
	var ids []any
	for _, key := range keys {
		if id, ok := lookup.UserID(key); ok {
			ids = append(ids, id)
		}
	}
	byID, err := s.users(ctx, selectByID, ids)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, key := range keys {
		if id, ok := lookup.UserID(key); (!ok || byID[id] == nil) && plausible(key, maxUsername) {
			names = append(names, key)
		}
	}
	byName := map[int64]*lookup.User{}
	err = byText(names, func(args []any) error {
		users, err := s.users(ctx, selectByName, args)
		maps.Copy(byName, users)
		return err
	})
	if err != nil {
		return nil, err
	}

	answers := make(map[string]lookup.Answer[lookup.User], 2*len(keys))
	named := make(map[string]*lookup.User, len(byName))
	for _, u := range byName {
		named[u.Username] = u
	}
	for _, key := range keys {
		if id, ok := lookup.UserID(key); ok && byID[id] != nil {
			answers[key] = lookup.Answer[lookup.User]{Value: byID[id]}
		} else if u := named[key]; u != nil {
			answers[key] = lookup.Answer[lookup.User]{Value: u}
		}
	}
	for _, key := range keys {
		if u := answers[key].Value; u != nil {
			alias(answers, u)
		}
	}
	return answers, nil
}

// alias adds the other keys of a user, unless they may stand for somebody else.
func alias(answers map[string]lookup.Answer[lookup.User], u *lookup.User) {
	answers[strconv.FormatInt(u.ID, 10)] = lookup.Answer[lookup.User]{Value: u}
	if _, digits := lookup.UserID(u.Username); !digits && u.Username != "" {
		answers[u.Username] = lookup.Answer[lookup.User]{Value: u}
	}
}

// users reads the users that the query finds, by id.
func (s *Source) users(ctx context.Context, query func(n int) string, args []any) (map[int64]*lookup.User, error) {
	found := map[int64]*lookup.User{}
	if len(args) == 0 {
		return found, nil
	}
	args = pad(args)
	rows, err := s.db.QueryContext(ctx, query(len(args)), args...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var name, email, kind, external sql.NullString
		if err := rows.Scan(&id, &name, &email, &kind, &external); err != nil {
			return nil, explain(err)
		}
		u := found[id]
		if u == nil {
			u = &lookup.User{ID: id, Username: name.String, Email: email.String, ExternalIDs: map[string]string{}}
			found[id] = u
		}
		if kind.String != "" && external.String != "" {
			u.ExternalIDs[kind.String] = externalID(external.String)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, explain(err)
	}
	return found, nil
}

// externalID writes a UUID in the usual way: MySQL has its 32 digits, MariaDB
// since Django 5 the UUID itself.
func externalID(s string) string {
	if id, err := uuid.Parse(s); err == nil {
		return id.String()
	}
	return s
}

// Courses implements [lookup.Backend]. A course without a display name is called by its id.
func (s *Source) Courses(ctx context.Context, ids []string) (map[string]lookup.Answer[lookup.Course], error) {
	var keys []string
	for _, id := range ids {
		if plausible(id, maxCourseID) {
			keys = append(keys, id)
		}
	}
	answers := make(map[string]lookup.Answer[lookup.Course], len(ids))
	err := byText(keys, func(args []any) error { return s.courses(ctx, args, answers) })
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// courses adds the courses with these ids to the answers.
func (s *Source) courses(ctx context.Context, args []any, answers map[string]lookup.Answer[lookup.Course]) error {
	args = pad(args)
	rows, err := s.db.QueryContext(ctx, selectCourses(len(args)), args...)
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var name sql.NullString
		if err := rows.Scan(&id, &name); err != nil {
			return explain(err)
		}
		c := &lookup.Course{ID: id, DisplayName: name.String}
		if c.DisplayName == "" {
			c.DisplayName = id
		}
		answers[id] = lookup.Answer[lookup.Course]{Value: c}
	}
	if err := rows.Err(); err != nil {
		return explain(err)
	}
	return nil
}

// plausible reports whether a column of so many characters can hold the key.
func plausible(key string, most int) bool {
	return utf8.ValidString(key) && utf8.RuneCountInString(key) <= most
}
