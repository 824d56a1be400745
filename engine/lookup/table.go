package lookup

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/google/uuid"
)

// Table is a [Source] in memory, immutable and safe for concurrent use. It
// holds users packed, at about 150 bytes each, and unpacks those in use.
type Table struct {
	packed  []byte      // one record after another
	ids     []idEntry   // sorted by id
	names   []uint32    // record starts, sorted by user name
	kinds   []string    // types of external ids; records hold the index
	users   *memo[User] // by key
	courses map[string]*Course
	count   int
}

type idEntry struct {
	id    int64
	start uint32
}

// Errors of [NewTable] and of the files it is built from; test with errors.Is.
var (
	// ErrDuplicate: two users share an id or a user name, or two courses an id.
	ErrDuplicate = errors.New("duplicate")
	// ErrTooMany: the users need more than 4 GiB or have more than 255 types of external ids.
	ErrTooMany = errors.New("too many users")
	// ErrNoKey: a user has neither id nor user name, or a course has no id.
	ErrNoKey = errors.New("no key")
)

// builder collects users and courses; finish makes a table of them.
type builder struct {
	t     Table
	kinds map[string]byte
	// where holds the place of each user, in the order of packed, to name
	// duplicates by; it is dropped with the builder.
	starts []uint32
	where  []int32
	lines  bool // where holds line numbers, not numbers of list entries
}

func newBuilder() *builder {
	return &builder{t: Table{courses: map[string]*Course{}}, kinds: map[string]byte{}}
}

// user adds a user; place is a number to name it by, such as its line.
func (b *builder) user(u *User, place int32) error {
	if u.ID == 0 && u.Username == "" {
		return ErrNoKey
	}
	if len(b.t.packed) > math.MaxUint32 {
		return ErrTooMany
	}
	start := uint32(len(b.t.packed))
	p := binary.AppendVarint(b.t.packed, u.ID)
	p = appendText(p, u.Username)
	p = appendText(p, u.Email)
	p = append(p, byte(len(u.ExternalIDs)))
	for _, kind := range sortedKeys(u.ExternalIDs) {
		n, ok := b.kinds[kind]
		if !ok {
			if len(b.kinds) == math.MaxUint8 {
				return ErrTooMany
			}
			n = byte(len(b.kinds))
			b.kinds[kind] = n
			b.t.kinds = append(b.t.kinds, kind)
		}
		p = append(p, n)
		p = appendID(p, u.ExternalIDs[kind])
	}
	b.t.packed = p
	if u.ID != 0 {
		b.t.ids = append(b.t.ids, idEntry{u.ID, start})
	}
	if u.Username != "" {
		b.t.names = append(b.t.names, start)
	}
	b.starts = append(b.starts, start)
	b.where = append(b.where, place)
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (b *builder) course(c Course) error {
	switch {
	case c.ID == "":
		return ErrNoKey
	case !ValidCourseID(c.ID):
		return ErrBadCourseID
	case b.t.courses[c.ID] != nil:
		return ErrDuplicate
	}
	if c.DisplayName == "" {
		c.DisplayName = c.ID
	}
	b.t.courses[c.ID] = &c
	return nil
}

// duplicateError names the places of two users with one key.
type duplicateError struct {
	key           string // "id" or "username"
	first, second int32
}

func (e *duplicateError) Error() string { return "duplicate " + e.key }
func (e *duplicateError) Unwrap() error { return ErrDuplicate }

func (b *builder) finish() (*Table, error) {
	t := &b.t
	slices.SortFunc(t.ids, func(x, y idEntry) int {
		return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(x.start, y.start))
	})
	for i := 1; i < len(t.ids); i++ {
		if t.ids[i].id == t.ids[i-1].id {
			return nil, b.duplicate("id", t.ids[i-1].start, t.ids[i].start)
		}
	}
	slices.SortFunc(t.names, func(x, y uint32) int {
		return cmp.Or(bytes.Compare(t.username(x), t.username(y)), cmp.Compare(x, y))
	})
	for i := 1; i < len(t.names); i++ {
		if bytes.Equal(t.username(t.names[i]), t.username(t.names[i-1])) {
			return nil, b.duplicate("username", t.names[i-1], t.names[i])
		}
	}
	t.count = len(b.starts)
	t.packed = slices.Clip(t.packed)
	t.users = newMemo[User]()
	return t, nil
}

func (b *builder) duplicate(key string, first, second uint32) error {
	place := func(start uint32) int32 {
		i, _ := slices.BinarySearch(b.starts, start)
		return b.where[i]
	}
	return &duplicateError{key, place(first), place(second)}
}

// NewTable returns a table of the users and courses. Errors: [ErrDuplicate],
// [ErrNoKey], [ErrBadCourseID], [ErrTooMany].
func NewTable(users []User, courses []Course) (*Table, error) {
	b := newBuilder()
	for i := range users {
		if err := b.user(&users[i], int32(min(i, math.MaxInt32))); err != nil {
			return nil, err
		}
	}
	for _, c := range courses {
		if err := b.course(c); err != nil {
			return nil, err
		}
	}
	return b.finish()
}

// Len tells how many users and courses the table has.
func (t *Table) Len() (users, courses int) {
	return t.count, len(t.courses)
}

// User implements [Source].
func (t *Table) User(_ context.Context, key string) (*User, error) {
	u := t.users.get(key, func(key string) (*User, bool) {
		u := t.find(key)
		return u, u != nil
	})
	if u == nil {
		return nil, ErrNotFound
	}
	return u, nil
}

// Course implements [Source].
func (t *Table) Course(_ context.Context, id string) (*Course, error) {
	if c := t.courses[id]; c != nil {
		return c, nil
	}
	return nil, ErrNotFound
}

func (t *Table) find(key string) *User {
	if id, ok := userID(key); ok {
		i, found := slices.BinarySearchFunc(t.ids, id, func(e idEntry, id int64) int { return cmp.Compare(e.id, id) })
		if found {
			return t.unpack(t.ids[i].start)
		}
	}
	i, found := slices.BinarySearchFunc(t.names, key, func(start uint32, key string) int {
		name := t.username(start)
		switch {
		case string(name) < key:
			return -1
		case string(name) > key:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return t.unpack(t.names[i])
}

func (t *Table) username(start uint32) []byte {
	p := t.packed[start:]
	_, n := binary.Varint(p)
	name, _ := cutText(p[n:])
	return name
}

func (t *Table) unpack(start uint32) *User {
	p := t.packed[start:]
	id, n := binary.Varint(p)
	name, p := cutText(p[n:])
	email, p := cutText(p)
	count, p := p[0], p[1:]
	u := &User{ID: id, Username: string(name), Email: string(email), ExternalIDs: make(map[string]string, count)}
	for range count {
		kind := t.kinds[p[0]]
		u.ExternalIDs[kind], p = cutID(p[1:])
	}
	return u
}

func appendText(p []byte, s string) []byte {
	return append(binary.AppendUvarint(p, uint64(len(s))), s...)
}

func cutText(p []byte) (text, rest []byte) {
	size, n := binary.Uvarint(p)
	end := n + int(size)
	return p[n:end], p[end:]
}

// An external id is kept as the 16 bytes of its UUID behind a 0 if it is
// written in the usual way, else as text behind a 1.
func appendID(p []byte, id string) []byte {
	if u, err := uuid.Parse(id); err == nil && u.String() == id {
		return append(append(p, 0), u[:]...)
	}
	return appendText(append(p, 1), id)
}

func cutID(p []byte) (id string, rest []byte) {
	if p[0] == 0 {
		return uuid.UUID(p[1:17]).String(), p[17:]
	}
	text, rest := cutText(p[1:])
	return string(text), rest
}
