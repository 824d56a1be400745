package failed

import (
	"fmt"
	"strings"
	"time"

	"github.com/erbd/erbd/engine/natskey"
)

// dateLayout is the date in a key.
const dateLayout = "2006-01-02"

// maxID bounds an id in a key, in bytes after encoding.
const maxID = 512

// Key names one record: backend.router.date.id.
type Key struct {
	Backend, Router string
	// Date is the day (UTC) on which the event was first published for the router.
	Date time.Time
	// ID identifies the event.
	ID string
}

// String returns the key as the bucket has it. Only letters, digits, _ and - of its parts stand as they are; any
// other byte becomes = and two hexadecimal digits, so that ids such as IRIs fit the bucket's character set.
func (k Key) String() string {
	return natskey.Encode(k.Backend) + "." + natskey.Encode(k.Router) + "." + k.Date.UTC().Format(dateLayout) + "." + natskey.Encode(k.ID)
}

// ParseKey reads what Key.String wrote. Its errors wrap ErrKey.
func ParseKey(s string) (Key, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return Key{}, fmt.Errorf("%w: %.80q has not the form backend.router.date.id", ErrKey, s)
	}
	var k Key
	var err error
	for i, to := range []*string{&k.Backend, &k.Router, nil, &k.ID} {
		if to == nil {
			continue
		}
		if *to, err = natskey.Decode(parts[i]); err != nil {
			return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
		}
	}
	if k.Date, err = time.Parse(dateLayout, parts[2]); err != nil {
		return Key{}, fmt.Errorf("%w: %.20q is no date", ErrKey, parts[2])
	}
	return k, nil
}
