package mysql

import (
	"context"
	"database/sql"
)

// What tests see of the queries.
var (
	SelectByID    = selectByID
	SelectByName  = selectByName
	SelectCourses = selectCourses
)

// Exec runs a statement on a connection of the source.
func Exec(ctx context.Context, s *Source, statement string) error {
	_, err := s.db.ExecContext(ctx, statement)
	return err
}

// Plan is the first step of how the server answers a query.
type Plan struct{ Type, Key, Extra string }

// Explain asks for the plan of a query.
func Explain(ctx context.Context, s *Source, query string, args []any) (p Plan, err error) {
	rows, err := s.db.QueryContext(ctx, "EXPLAIN "+query, args...)
	if err != nil {
		return p, err
	}
	defer rows.Close()
	if rows.Next() {
		var id, kind, table, access, possible, key, keyLen, ref, n, extra sql.NullString
		if err := rows.Scan(&id, &kind, &table, &access, &possible, &key, &keyLen, &ref, &n, &extra); err != nil {
			return p, err
		}
		p = Plan{access.String, key.String, extra.String}
	}
	return p, rows.Err()
}
