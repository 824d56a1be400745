package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	driver "github.com/go-sql-driver/mysql"
)

const selectUsers = `SELECT u.id, u.username, u.email, t.name, e.external_user_id
FROM auth_user u
LEFT JOIN external_user_ids_externalid e ON e.user_id = u.id
LEFT JOIN external_user_ids_externalidtype t ON t.id = e.external_id_type_id
WHERE u.`

func selectByID(n int) string   { return selectUsers + "id IN " + marks(n) }
func selectByName(n int) string { return selectUsers + "username IN " + marks(n) }

func selectCourses(n int) string {
	return "SELECT id, display_name FROM course_overviews_courseoverview WHERE id IN " + marks(n)
}

// marks returns the placeholders of n parameters.
func marks(n int) string { return "(?" + strings.Repeat(",?", n-1) + ")" }

// pad repeats the last parameter up to a power of two, so that the server sees
// few different statements.
func pad(args []any) []any {
	for n := len(args); n&(n-1) != 0; n++ {
		args = append(args, args[len(args)-1])
	}
	return args
}

// byText asks for keys that are compared to a column of text. A character that
// the column's character set does not have (an emoji, mostly) makes the server
// refuse the whole question, though it only means that no row has
// that key. So keys beyond ASCII are asked for apart, and where they are
// refused, one by one.
func byText(keys []string, ask func(args []any) error) error {
	var plain, others []any
	for _, key := range keys {
		if strings.IndexFunc(key, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
			plain = append(plain, key)
		} else {
			others = append(others, key)
		}
	}
	if len(plain) > 0 {
		if err := ask(plain); err != nil {
			return err
		}
	}
	if len(others) == 0 {
		return nil
	}
	err := ask(others)
	if !collations(err) {
		return err
	}
	for _, key := range others {
		if err := ask([]any{key}); err != nil && !collations(err) {
			return err
		}
	}
	return nil
}

// MariaDB's and MySQL's errors of that kind.
var collationErrors = map[uint16]bool{
	1267: true, // illegal mix of collations of 2 operands
	1270: true, // of 3
	1271: true, // of more
	3854: true, // text cannot be converted
	3988: true, // parameter cannot be converted
}

// collations reports whether the server could not compare a key with a column.
func collations(err error) bool {
	var server *driver.MySQLError
	return errors.As(err, &server) && collationErrors[server.Number]
}

// Errors of the server that say that it is no data base of an LMS for this
// account; their texts name tables, columns and accounts, and no values.
var schemaErrors = map[uint16]bool{
	1044: true, // access to the data base denied
	1045: true, // log-in denied
	1046: true, // no data base
	1049: true, // unknown data base
	1054: true, // unknown column
	1142: true, // command denied on the table
	1143: true, // command denied on the column
	1146: true, // no such table
}

// queryError is an error of the server or the driver with a text that holds no
// values of the query.
type queryError struct {
	text string
	err  error
}

func (e *queryError) Error() string   { return e.text }
func (e *queryError) Unwrap() []error { return []error{e.err} }

// explain tells why a query failed.
func explain(err error) error {
	var server *driver.MySQLError
	switch {
	case errors.As(err, &server) && schemaErrors[server.Number]:
		return fmt.Errorf("%w: mysql error %d: %s", ErrSchema, server.Number, server.Message)
	case errors.As(err, &server):
		return &queryError{fmt.Sprintf("mysql error %d (%s)", server.Number, server.SQLState[:]), err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("mysql: %w", err)
}
