package config

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Size is a number of bytes, written as a number or with a unit: KiB, MiB, GiB
// and TiB, or the same without iB.
type Size int64

var errSize = errors.New("not a size: write a number of bytes, or one with KiB, MiB, GiB or TiB")

// ParseSize reads a size. It refuses negative ones and such beyond an int64.
func ParseSize(s string) (Size, error) {
	number, shift := strings.TrimSpace(s), 0
	for i, unit := range [...]string{"K", "M", "G", "T"} {
		short, ok := strings.CutSuffix(strings.TrimSuffix(number, "iB"), unit)
		if ok {
			number, shift = strings.TrimSpace(short), 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, errSize
	}
	return Size(n << shift), nil
}

// String writes the size with the largest unit that divides it.
func (s Size) String() string {
	unit := ""
	n := int64(s)
	for _, u := range [...]string{"KiB", "MiB", "GiB", "TiB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return strconv.FormatInt(n, 10) + unit
}

// UnmarshalDoc implements [yamldoc.Unmarshaler].
func (s *Size) UnmarshalDoc(n *yamldoc.Node) diag.List {
	if n.IsNull() {
		return nil
	}
	size, err := ParseSize(n.Text)
	if n.Kind != yamldoc.Scalar || err != nil {
		return diag.List{n.Diag(diag.Error, CodeValue, "", "%w", errSize)}
	}
	*s = size
	return nil
}
