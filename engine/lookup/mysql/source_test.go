package mysql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/lookup/mysql"
	"github.com/erbd/erbd/engine/lookup/mysql/mariadb"
)

const demo = "course-v1:edX+DemoX+Demo_Course"

func open(t *testing.T, c mysql.Config) *mysql.Source {
	t.Helper()
	s, err := mysql.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestSource(t *testing.T) {
	db, ok := mariadb.New(t)
	if !ok {
		return
	}
	src := open(t, mysql.Config{DSN: db.DSN()})
	require.NoError(t, src.Check(t.Context()))

	long := strings.Repeat("x", 300)
	keys := []string{"7", "ada", "josé", "jose", "Ada", "ada ", "123456", "10", "11", "12", "99999", "", "😀", "a'; DROP TABLE auth_user; --", "%", "learner", long, "\xff", "999999999999999999", "007"}
	users, err := src.Users(t.Context(), keys)
	require.NoError(t, err)
	want := map[string]int64{
		"7": 7, "ada": 7, "007": 7, "josé": 8, "8": 8, "123456": 9, "9": 9, "10": 10, "11": 11, "retired__user_52c6ab": 11, "12": 12, "new": 12,
	}
	got := map[string]int64{}
	for key, a := range users {
		require.NoError(t, a.Err)
		got[key] = a.Value.ID
	}
	assert.Equal(t, want, got)
	assert.Equal(t, &lookup.User{ID: 7, Username: "ada", Email: "ada@example.com", ExternalIDs: map[string]string{
		"xapi": mariadb.ExternalID("xapi", 7), "caliper": mariadb.ExternalID("caliper", 7), "lti": mariadb.ExternalID("lti", 7),
	}}, users["7"].Value)
	assert.Empty(t, users["new"].Value.ExternalIDs)

	courses, err := src.Courses(t.Context(), []string{demo, strings.ToLower(demo), "edX/Old/2012", "edX/None/2012", long, "\xff"})
	require.NoError(t, err)
	assert.Equal(t, &lookup.Course{ID: demo, DisplayName: "Données & Démonstration"}, courses[demo].Value)
	assert.Equal(t, &lookup.Course{ID: "edX/Old/2012", DisplayName: "edX/Old/2012"}, courses["edX/Old/2012"].Value)
	assert.Len(t, courses, 2)

	none, err := src.Users(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, none)

	t.Run("writes nothing", func(t *testing.T) {
		db.Exec("", "GRANT ALL ON edxapp.* TO erbd@'%'")
		err := mysql.Exec(t.Context(), open(t, mysql.Config{DSN: db.DSN()}), "UPDATE auth_user SET email = 'x' WHERE id = 7")
		require.ErrorContains(t, err, "1792") // cannot execute statement in a READ ONLY transaction
	})
	t.Run("uses the indexes", func(t *testing.T) {
		db.Exec("edxapp", "ANALYZE TABLE auth_user, external_user_ids_externalid, course_overviews_courseoverview")
		for _, tt := range []struct {
			query string
			args  []any
			key   string
		}{
			{mysql.SelectByID(4), []any{7, 8, 9, 10}, "PRIMARY"},
			{mysql.SelectByName(4), []any{"ada", "learner500", "learner600", "nobody"}, "username"},
			{mysql.SelectByName(4), []any{"ada", "josé", "用户", "learner600"}, "username"},
			{mysql.SelectCourses(2), []any{demo, "edX/Old/2012"}, "PRIMARY"},
		} {
			plan, err := mysql.Explain(t.Context(), src, tt.query, tt.args)
			require.NoError(t, err)
			assert.NotEqual(t, "ALL", plan.Type, "%v: %+v", tt.args, plan)
			assert.Equal(t, tt.key, plan.Key, "%v: %+v", tt.args, plan)
		}
	})
	t.Run("native uuids of MariaDB", func(t *testing.T) {
		db.Exec("edxapp", "ALTER TABLE external_user_ids_externalid MODIFY external_user_id uuid NOT NULL")
		users, err := src.Users(t.Context(), []string{"ada"})
		require.NoError(t, err)
		assert.Equal(t, mariadb.ExternalID("xapi", 7), users["ada"].Value.ExternalIDs["xapi"])
	})
	t.Run("utf8mb4", func(t *testing.T) {
		db.Exec("edxapp", "ALTER TABLE auth_user CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
		db.Exec("edxapp", "UPDATE auth_user SET username = '用户😀' WHERE id = 100")
		users, err := src.Users(t.Context(), []string{"用户😀", "josé", "JOSÉ"})
		require.NoError(t, err)
		assert.EqualValues(t, 100, users["用户😀"].Value.ID)
		assert.EqualValues(t, 8, users["josé"].Value.ID)
		assert.Nil(t, users["JOSÉ"].Value)
	})
	t.Run("no right", func(t *testing.T) {
		db.Exec("", "REVOKE ALL ON edxapp.* FROM erbd@'%'; REVOKE SELECT ON edxapp.course_overviews_courseoverview FROM erbd@'%'")
		err := open(t, mysql.Config{DSN: db.DSN()}).Check(t.Context())
		require.ErrorIs(t, err, mysql.ErrSchema)
		require.ErrorContains(t, err, "mysql error 1142")
	})
	t.Run("no table", func(t *testing.T) {
		db.Exec("edxapp", "DROP TABLE external_user_ids_externalid")
		err := src.Check(t.Context())
		require.ErrorIs(t, err, mysql.ErrSchema)
		_, err = src.Users(t.Context(), []string{"ada"})
		require.ErrorIs(t, err, mysql.ErrSchema)
		assert.NotContains(t, err.Error(), "ada")
		assert.NotErrorIs(t, err, lookup.ErrNotFound)
	})
	t.Run("wrong password", func(t *testing.T) {
		err := open(t, mysql.Config{DSN: "erbd:wrong@unix(" + db.Socket() + ")/edxapp"}).Check(t.Context())
		require.ErrorIs(t, err, mysql.ErrSchema)
		require.ErrorContains(t, err, "mysql error 1045")
		assert.NotContains(t, err.Error(), "wrong")
	})
	t.Run("given up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := src.Courses(ctx, []string{demo})
		require.ErrorIs(t, err, context.Canceled)
	})
}
