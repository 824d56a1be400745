package lookup

import (
	"crypto/hmac"
	"crypto/sha256"
	"strconv"

	"github.com/google/uuid"
)

// DefaultNamespace is the namespace of pseudonyms where no secret is set: the
// UUIDv5 of "erbd:pseudonyms" in the URL namespace of RFC 9562. Whoever knows
// user names can then compute their pseudonyms; set a secret to prevent that.
var DefaultNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("erbd:pseudonyms"))

// pseudonyms makes external ids for users of whom only the key is known.
type pseudonyms struct{ namespace uuid.UUID }

func newPseudonyms(secret []byte) pseudonyms {
	if len(secret) == 0 {
		return pseudonyms{DefaultNamespace}
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("erbd:pseudonyms"))
	var namespace uuid.UUID
	copy(namespace[:], mac.Sum(nil))
	return pseudonyms{namespace}
}

// user returns the user with the key; the same one for each way of writing an id.
func (p pseudonyms) user(key string) *User {
	u := &User{Username: key, ExternalIDs: make(map[string]string, 3)}
	if id, ok := userID(key); ok {
		u.ID, u.Username, key = id, "", strconv.FormatInt(id, 10)
	}
	for _, kind := range [...]string{TypeXAPI, TypeCaliper, TypeLTI} {
		u.ExternalIDs[kind] = uuid.NewSHA1(p.namespace, []byte(kind+":"+key)).String()
	}
	return u
}
