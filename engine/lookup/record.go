package lookup

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrRecord: bytes are no record of a user or course. Texts that wrap it tell
// nothing of the content.
var ErrRecord = errors.New("malformed look-up record")

// MarshalUser returns a user as JSON, as an entry of "users" in a look-up file.
// The same user always gives the same bytes.
func MarshalUser(u *User) ([]byte, error) {
	return json.Marshal(&struct {
		ID          int64             `json:"id,omitempty"`
		Username    string            `json:"username,omitempty"`
		Email       string            `json:"email,omitempty"`
		ExternalIDs map[string]string `json:"external_ids,omitempty"`
	}{u.ID, u.Username, u.Email, u.ExternalIDs})
}

// UnmarshalUser reads what [MarshalUser] wrote, or an entry of a look-up file.
// Members that it does not know are passed over. Error: [ErrRecord].
func UnmarshalUser(record []byte) (*User, error) {
	var e *userEntry
	if err := json.Unmarshal(record, &e); err != nil || e == nil {
		return nil, fmt.Errorf("%w: expected a user such as {\"id\": 7, \"username\": \"…\", \"external_ids\": {…}}", ErrRecord)
	}
	return e.user(), nil
}

// MarshalCourse returns a course as JSON, as an entry of "courses" in a look-up file.
func MarshalCourse(c *Course) ([]byte, error) { return json.Marshal((*courseEntry)(c)) }

// UnmarshalCourse reads what [MarshalCourse] wrote. Without a display name a
// course is called by its id. Error: [ErrRecord].
func UnmarshalCourse(record []byte) (*Course, error) {
	var e *courseEntry
	if err := json.Unmarshal(record, &e); err != nil || e == nil {
		return nil, fmt.Errorf("%w: expected a course such as {\"id\": \"course-v1:…\", \"display_name\": \"…\"}", ErrRecord)
	}
	c := Course(*e)
	if c.DisplayName == "" {
		c.DisplayName = c.ID
	}
	return &c, nil
}
