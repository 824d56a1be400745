package route

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/config"
)

// TestTargets: where routers send is checked at load, with the place in the file, and again with what secrets hold.
func TestTargets(t *testing.T) {
	const head = "xapi:\n- name: lrs\n  url: "
	bearer := "\n  auth: {scheme: bearer, token: '${env:T}'}"
	allow := &config.Delivery{AllowPlaintext: []string{"lrs.example.com"}, AllowTargets: []string{"169.254.0.0/16"}}
	forbid := &config.Delivery{ForbidPrivateTargets: true}
	for name, tt := range map[string]struct {
		src      string
		delivery *config.Delivery
		want     string // of Parse
		resolve  string
		exposed  string
	}{
		"https":                {src: head + "https://lrs.example.com" + bearer},
		"loopback":             {src: head + "http://127.0.0.1:1" + bearer},
		"public":               {src: head + "http://lrs.example.com" + bearer, want: "r.yaml:3:8: xapi[0].url: lrs.example.com is public"},
		"public, in a setting": {src: head + "'${env:URL}'" + bearer, resolve: "r.yaml:3:8: xapi[0].url: router lrs cannot be used: unusable delivery settings: lrs.example.com is public"},
		"public, by a header":  {src: head + "http://lrs.example.com\n  headers: {X-Api-Key: '${env:T}'}", want: "lrs.example.com is public"},
		"public, allowed":      {src: head + "http://lrs.example.com" + bearer, delivery: allow},
		"public, unknown":      {src: head + "http://other.example.com" + bearer, delivery: allow, want: "other.example.com is public"},
		"no credentials":       {src: head + "http://lrs.example.com", exposed: "r.yaml:3:8: warning: xapi[0].url: router lrs sends events to lrs.example.com unencrypted (use https://, or name the host in delivery.allow_plaintext)"},
		"compose":              {src: head + "http://lrs:8080" + bearer, exposed: "router lrs sends events and credentials to lrs:8080 unencrypted"},
		"compose, open":        {src: head + "http://lrs:8080"},
		"metadata":             {src: head + "http://169.254.169.254", want: "no router sends there"},
		"metadata, allowed":    {src: head + "http://169.254.169.254", delivery: allow},
		"private, forbidden":   {src: head + "https://10.0.0.1", delivery: forbid, want: "r.yaml:3:8: xapi[0].url: unusable delivery settings: 10.0.0.1 is a private address, which delivery.forbid_private_targets forbids"},
		"literal":              {src: head + "https://h\n  auth: {scheme: bearer, token: hunter2}", want: "r.yaml:4:33: xapi[0].auth.token: the secret is written out (put it"},
		"literal header":       {src: head + "https://h\n  headers: {X-Api-Key: hunter2}", want: "r.yaml:4:24: xapi[0].headers.X-Api-Key: the secret is written out"},
		"own header":           {src: head + "https://h\n  headers: {authorization: hunter2}", want: "r.yaml:4:13: xapi[0].headers.authorization: unusable delivery settings: header \"authorization\" is for credentials"},
		"hop by hop":           {src: head + "https://h\n  headers: {Keep-Alive: '1'}", want: "is set by erbd itself"},
		"line end":             {src: head + "https://h\n  headers: {X: \"hunter2\\r\\nHost: evil\"}", want: "r.yaml:4:13: xapi[0].headers.X: unusable delivery settings: the value of header \"X\" holds characters"},
		"line end, secret":     {src: head + "https://h\n  headers: {A: b, X: '${env:LINE}'}", resolve: "r.yaml:4:22: xapi[0].headers.X: unusable delivery settings: the value of header \"X\" holds"},
		"beside a secret":      {src: "xapi:\n- {name: lrs, url: https://h, requests: 0, auth: {scheme: bearer, token: hunter2}}", want: "requests is 1 to 64"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.delivery == nil {
				tt.delivery = &config.Delivery{}
			}
			s, faults := Parse("r.yaml", []byte(tt.src), Options{Delivery: tt.delivery})
			assert.NotContains(t, faults.Render(), "hunter2")
			if tt.want != "" {
				require.Nil(t, s)
				assert.Contains(t, fmt.Sprint(faults), tt.want)
				return
			}
			require.Empty(t, faults, faults.Render())
			env := map[string]string{"T": "hunter2", "URL": "http://lrs.example.com/x", "LINE": "hunter2\r\nHost: evil"}
			faults = s.Resolve(func(k string) (string, bool) { v, ok := env[k]; return v, ok })
			assert.NotContains(t, faults.Render(), "hunter2")
			if tt.resolve != "" {
				require.Len(t, faults, 1)
				assert.ErrorContains(t, faults[0], tt.resolve)
				return
			}
			require.Empty(t, faults, faults.Render())
			exposed := s.Exposed()
			if tt.exposed == "" {
				assert.Empty(t, exposed)
				return
			}
			require.Len(t, exposed, 1)
			assert.ErrorContains(t, exposed[0], tt.exposed)
		})
	}
}

// TestImportCredentials: what the plugin keeps in its headers becomes references, too.
func TestImportCredentials(t *testing.T) {
	row := func(pk int, path, scheme, headers string) string {
		return fmt.Sprintf(`{"model":"event_routing_backends.routerconfiguration","pk":%d,"fields":{"backend_name":"caliper","route_url":"http://lrs.example.com/%s","auth_scheme":%q,"auth_key":"hunter2-key","configurations":{"headers":%s}}}`, pk, path, scheme, headers)
	}
	im, err := ImportRows([]byte("[" +
		row(1, "a", "NONE", `{"authorization":"Bearer hunter2-a","X-Api-Key":"hunter2-b","test":"header"}`) + "," +
		row(2, "b", "NONE", `{"Authorization":"Basic dTpodW50ZXIyLWM="}`) + "," +
		row(3, "c", "BEARER", `{"Authorization":"hunter2-d"}`) + "," +
		row(4, "d", "NONE", `{"Authorization":"Custom hunter2-e"}`) + "]"))
	require.NoError(t, err)
	assert.NotContains(t, string(im.YAML), "hunter2")
	assert.NotContains(t, fmt.Sprint(im.Notes), "hunter2")
	var values []string
	for _, v := range im.Secrets {
		values = append(values, v.Value)
	}
	assert.Equal(t, []string{"hunter2-a", "hunter2-b", "hunter2-c", "hunter2-key"}, values)
	assert.Equal(t, []string{
		"row 1: has a header Authorization: moved to auth", "row 1: sends credentials to lrs.example.com unencrypted: use https://, or name the host in delivery.allow_plaintext",
		"row 2: has a header Authorization: moved to auth", "row 2: sends credentials to lrs.example.com unencrypted: use https://, or name the host in delivery.allow_plaintext",
		"row 3: has an auth scheme and a header Authorization: the header is left out", "row 3: sends credentials to lrs.example.com unencrypted: use https://, or name the host in delivery.allow_plaintext",
		"row 4: has a header Authorization that is neither basic nor bearer: left out",
	}, im.Notes)
}
