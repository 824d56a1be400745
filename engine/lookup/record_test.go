package lookup_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup"
)

type changing struct{ user *lookup.User }

func (c *changing) User(context.Context, string) (*lookup.User, error) { return c.user, nil }
func (c *changing) Course(context.Context, string) (*lookup.Course, error) {
	return nil, lookup.ErrNotFound
}

func TestTableAll(t *testing.T) {
	table := table(t)
	var keys []string
	for u := range table.Users() {
		keys = append(keys, u.Username)
	}
	assert.Equal(t, []string{"ada", "7", "1234", "", "grace", "-1"}, keys)
	for range table.Users() {
		break
	}
	courses := slices.Collect(table.Courses())
	require.Len(t, courses, 2)
	assert.Equal(t, demo, courses[0].ID)
}

func TestRecords(t *testing.T) {
	for record, want := range map[string]*lookup.User{
		`{"id":7,"username":"ada","email":"a@example.com","external_ids":{"caliper":"c","xapi":"x"}}`: {ID: 7, Username: "ada", Email: "a@example.com", ExternalIDs: map[string]string{"xapi": "x", "caliper": "c"}},
		`{"id":7}`:         {ID: 7},
		`{"username":"é"}`: {Username: "é"},
	} {
		got, err := lookup.UnmarshalUser([]byte(record))
		require.NoError(t, err)
		assert.Equal(t, want, got)
		again, err := lookup.MarshalUser(got)
		require.NoError(t, err)
		assert.Equal(t, record, string(again))
	}
	u, err := lookup.UnmarshalUser([]byte(`{"id":"7","external_ids":{"xapi":null},"is_staff":false}`))
	require.NoError(t, err)
	assert.Equal(t, &lookup.User{ID: 7, ExternalIDs: map[string]string{}}, u)
	c, err := lookup.UnmarshalCourse([]byte(`{"id":"a/b/c"}`))
	require.NoError(t, err)
	assert.Equal(t, &lookup.Course{ID: "a/b/c", DisplayName: "a/b/c"}, c)
	b, err := lookup.MarshalCourse(c)
	require.NoError(t, err)
	assert.Equal(t, `{"id":"a/b/c","display_name":"a/b/c"}`, string(b))
	for _, record := range []string{"", "null", "[]", "7", `{"id":"ada"}`, `{"id":{}}`, `{"external_ids":[]}`, `{"id":7`} {
		_, err := lookup.UnmarshalUser([]byte(record))
		require.ErrorIs(t, err, lookup.ErrRecord, record)
		assert.NotContains(t, err.Error(), "ada")
		if record != `{"id":"ada"}` && record != `{"external_ids":[]}` {
			_, err = lookup.UnmarshalCourse([]byte(record))
			require.ErrorIs(t, err, lookup.ErrRecord, record)
		}
	}
}
