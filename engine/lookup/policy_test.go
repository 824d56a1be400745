package lookup_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/lookup"
)

func retiredTable(t *testing.T) *lookup.Table {
	table, err := lookup.NewTable([]lookup.User{
		{ID: 7, Username: "ada", Email: "ada@example.com", ExternalIDs: map[string]string{"xapi": adaXAPI, "caliper": "c", "lti": "l"}},
		{ID: 8, Username: "retired__user_52c6", Email: "retired__user_52c6@retired.invalid", ExternalIDs: map[string]string{"xapi": "x8"}},
		{ID: 9, Username: "gone-9", ExternalIDs: map[string]string{"xapi": "x9"}},
	}, nil)
	require.NoError(t, err)
	return table
}

func TestRetiredUsers(t *testing.T) {
	src := retiredTable(t)
	secret := []byte("s3cret")
	pseudonyms, err := lookup.NewDirectory(nil, lookup.Options{Secret: secret})
	require.NoError(t, err)
	tests := []struct {
		name, key string
		opt       lookup.Options
		src       lookup.Source
		want      string // external id; "pseudonym" stands for that of want key
		of        string
		err       error
	}{
		{"kept by default", "8", lookup.Options{}, src, "x8", "", nil},
		{"kept", "retired__user_52c6", lookup.Options{RetiredUsers: lookup.Keep}, src, "x8", "", nil},
		{"refused by id", "8", lookup.Options{RetiredUsers: lookup.Reject}, src, "", "", lookup.ErrRetiredUser},
		{"refused by name", "retired__user_52c6", lookup.Options{RetiredUsers: lookup.Reject}, src, "", "", lookup.ErrRetiredUser},
		{"refused though the source does not know it", "retired__user_77", lookup.Options{RetiredUsers: lookup.Reject, UnknownUsers: lookup.Pseudonym}, src, "", "", lookup.ErrRetiredUser},
		{"refused without a source", "retired__user_77", lookup.Options{RetiredUsers: lookup.Reject}, nil, "", "", lookup.ErrRetiredUser},
		{"pseudonym by id", "8", lookup.Options{RetiredUsers: lookup.Pseudonym}, src, "pseudonym", "8", nil},
		{"pseudonym by name", "retired__user_52c6", lookup.Options{RetiredUsers: lookup.Pseudonym}, src, "pseudonym", "8", nil},
		{"others stay", "ada", lookup.Options{RetiredUsers: lookup.Pseudonym}, src, adaXAPI, "", nil},
		{"unknown stays unknown", "retired__user_77", lookup.Options{RetiredUsers: lookup.Pseudonym}, src, "", "", lookup.ErrUnknownUser},
		{"own prefix", "9", lookup.Options{RetiredUsers: lookup.Reject, RetiredPrefix: "gone-"}, src, "", "", lookup.ErrRetiredUser},
		{"own prefix, not the usual one", "8", lookup.Options{RetiredUsers: lookup.Reject, RetiredPrefix: "gone-"}, src, "x8", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.opt.Secret = secret
			d, err := lookup.NewDirectory(tt.src, tt.opt)
			require.NoError(t, err)
			u, err := d.User(t.Context(), tt.key)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.ErrorIs(t, err, lookup.ErrUnknownUser)
				return
			}
			if tt.want == "pseudonym" {
				want, err := pseudonyms.User(t.Context(), tt.of)
				require.NoError(t, err)
				assert.Equal(t, want, u, "neither name nor address of the account")
				assert.Empty(t, u.Username+u.Email)
				return
			}
			assert.Equal(t, tt.want, u.ExternalIDs["xapi"])
		})
	}
	_, err = lookup.NewDirectory(nil, lookup.Options{RetiredUsers: "forget"})
	require.EqualError(t, err, `retired_users is "forget": use "keep", "reject" or "pseudonym"`)
}

func TestAnonymousUsers(t *testing.T) {
	for _, src := range []lookup.Source{nil, retiredTable(t)} {
		d, err := lookup.NewDirectory(src, lookup.Options{AnonymousUsers: lookup.Pseudonym, Secret: []byte("s3cret")})
		require.NoError(t, err)
		u, err := d.User(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, "30057681-6bbb-5c4d-9185-7cb08a00c740", u.ExternalIDs["xapi"], "must never change")
		assert.Empty(t, u.Username)
		d, err = lookup.NewDirectory(src, lookup.Options{AnonymousUsers: lookup.Reject, UnknownUsers: lookup.Pseudonym})
		require.NoError(t, err)
		_, err = d.User(t.Context(), "")
		require.ErrorIs(t, err, lookup.ErrUnknownUser)
	}
	_, err := lookup.NewDirectory(nil, lookup.Options{AnonymousUsers: "keep"})
	require.EqualError(t, err, `anonymous_users is "keep": use "reject" or "pseudonym"`)
}

func TestMissingExternalIDs(t *testing.T) {
	src := retiredTable(t)
	d, err := lookup.NewDirectory(src, lookup.Options{UnknownUsers: lookup.Pseudonym})
	require.NoError(t, err)
	pseudonyms, err := lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(t, err)
	want, err := pseudonyms.User(t.Context(), "9")
	require.NoError(t, err)
	for _, key := range []string{"9", "gone-9", "009"} {
		u, err := d.User(t.Context(), key)
		require.NoError(t, err)
		assert.Equal(t, &lookup.User{ID: 9, Username: "gone-9", ExternalIDs: map[string]string{"xapi": "x9", "caliper": want.ExternalIDs["caliper"], "lti": want.ExternalIDs["lti"]}}, u)
	}
	from, err := src.User(t.Context(), "9")
	require.NoError(t, err)
	assert.Len(t, from.ExternalIDs, 1, "the source's own is as it was")
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = d.User(t.Context(), "9") }))

	strict, err := lookup.NewDirectory(src, lookup.Options{})
	require.NoError(t, err)
	u, err := strict.User(t.Context(), "9")
	require.NoError(t, err)
	assert.Len(t, u.ExternalIDs, 1)
}

// The ids that a source has later take the place of the pseudonyms.
func TestExternalIDsThatComeLater(t *testing.T) {
	src := &changing{user: &lookup.User{ID: 7, ExternalIDs: map[string]string{}}}
	d, err := lookup.NewDirectory(src, lookup.Options{UnknownUsers: lookup.Pseudonym})
	require.NoError(t, err)
	u, err := d.User(t.Context(), "7")
	require.NoError(t, err)
	require.Len(t, u.ExternalIDs, 3)
	src.user = &lookup.User{ID: 7, ExternalIDs: map[string]string{"xapi": adaXAPI}}
	u, err = d.User(t.Context(), "7")
	require.NoError(t, err)
	require.Equal(t, adaXAPI, u.ExternalIDs["xapi"])
	require.Len(t, u.ExternalIDs, 3)
}
