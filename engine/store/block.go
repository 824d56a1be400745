package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/minio/highwayhash"
)

// The form of a message block of the server, as of version 2.15: records one after another, each
//
//	length (4 bytes, with a flag where there are headers), number (8), time (8), length of the subject (2),
//	subject, [length of the headers (4), headers,] message, checksum (8)
//
// all little-endian. The checksum is keyed by the names of the stream and the block.
const (
	recordHead  = 22
	recordSum   = 8
	recordMax   = 32 << 20
	headersFlag = uint32(1) << 31
	erasedFlag  = uint64(1) << 63 // the message was overwritten
	removedFlag = uint64(1) << 62 // not a message, but a note that one was removed
	flags       = erasedFlag | removedFlag
)

// gap is a part of a block that cannot be read.
type gap struct {
	from, to int // bytes
	// before and after are the numbers of the messages around it, 0 where there is none in the block.
	before, after uint64
}

// block is what a message block holds.
type block struct {
	data []byte
	// last is the highest number of a message, also of one that is noted as removed.
	last  uint64
	first uint64
	// live are the numbers of messages by their subjects; removed are those of earlier ones that have been removed.
	live    map[string][]uint64
	removed []uint64
	gaps    []gap
}

// readBlock reads all records that are whole, also those after a part that is not.
func readBlock(stream string, index int, data []byte) (*block, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, index))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, fmt.Errorf("checksum: %w", err)
	}
	b := &block{data: data, live: map[string][]uint64{}}
	before := uint64(0)
	for at := 0; at < len(data); {
		size, seq := record(sum, data[at:])
		if size == 0 {
			from := at
			for at++; at < len(data); at++ {
				if !likely(data[at:]) {
					continue
				}
				if size, seq = record(sum, data[at:]); size > 0 {
					break
				}
			}
			g := gap{from: from, to: at, before: before}
			if at < len(data) {
				g.after = seq &^ flags
			}
			b.gaps = append(b.gaps, g)
			continue
		}
		subject := data[at+recordHead : at+recordHead+int(binary.LittleEndian.Uint16(data[at+20:]))]
		at += size
		number := seq &^ flags
		b.last = max(b.last, number)
		if seq&removedFlag != 0 {
			b.removed = append(b.removed, number)
			continue
		}
		if b.first == 0 {
			b.first = number
		}
		before = number
		if seq&erasedFlag == 0 {
			b.live[string(subject)] = append(b.live[string(subject)], number)
		}
	}
	return b, nil
}

// record returns the size and the number, with its flags, of the record that data begins with; 0 where it is not
// whole.
func record(sum hash.Hash64, data []byte) (size int, seq uint64) {
	if len(data) < recordHead+recordSum {
		return 0, 0
	}
	length := binary.LittleEndian.Uint32(data)
	head, size := recordHead+int(binary.LittleEndian.Uint16(data[20:])), int(length&^headersFlag)
	body := head
	if length&headersFlag != 0 {
		body += 4
	}
	if size > recordMax || size > len(data) || body > size-recordSum {
		return 0, 0
	}
	sum.Reset()
	sum.Write(data[4:20])            //nolint:errcheck // a hash takes everything
	sum.Write(data[recordHead:head]) //nolint:errcheck // as above
	sum.Write(data[body : size-recordSum])
	var have [recordSum]byte
	if !bytes.Equal(sum.Sum(have[:0]), data[size-recordSum:size]) {
		return 0, 0
	}
	return size, binary.LittleEndian.Uint64(data[4:])
}

// likely reports whether a record may begin here, without the cost of its checksum: by a number that no stream has come
// to, and a subject that is none, most bytes show that they are something else.
func likely(data []byte) bool {
	if len(data) < recordHead+recordSum || binary.LittleEndian.Uint64(data[4:])&^flags >= 1<<48 {
		return false
	}
	size := int(binary.LittleEndian.Uint16(data[20:]))
	if size == 0 {
		return binary.LittleEndian.Uint32(data) == recordHead+recordSum
	}
	if recordHead+size > len(data) {
		return false
	}
	for _, c := range data[recordHead : recordHead+size] {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// without returns the block without its gaps.
func (b *block) without() []byte {
	out, at := make([]byte, 0, len(b.data)), 0
	for _, g := range b.gaps {
		out = append(out, b.data[at:g.from]...)
		at = g.to
	}
	return append(out, b.data[at:]...)
}
