package store

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/minio/highwayhash"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// madeBlock is a block of messages of one size, as the server writes them.
func madeBlock(t testing.TB, messages, size int) []byte {
	t.Helper()
	key := sha256.Sum256([]byte("S-7"))
	sum, err := highwayhash.New64(key[:])
	require.NoError(t, err)
	const subject = "erb.raw.x"
	var data []byte
	for n := range messages {
		head := make([]byte, recordHead)
		binary.LittleEndian.PutUint32(head, uint32(recordHead+len(subject)+size+recordSum))
		binary.LittleEndian.PutUint64(head[4:], uint64(n+1))
		binary.LittleEndian.PutUint16(head[20:], uint16(len(subject)))
		body := make([]byte, size)
		sum.Reset()
		for _, part := range [][]byte{head[4:20], []byte(subject), body} {
			sum.Write(part) //nolint:errcheck // a hash takes everything
		}
		data = append(append(append(data, head...), subject...), body...)
		data = sum.Sum(data)
	}
	return data
}

// TestReadBlock finds what is whole around what is not, whatever that looks like.
func TestReadBlock(t *testing.T) {
	data := madeBlock(t, 1000, 1000)
	one := len(data) / 1000
	b, err := readBlock("S", 7, data)
	require.NoError(t, err)
	assert.Empty(t, b.gaps)
	assert.EqualValues(t, 1000, b.last)
	assert.Len(t, b.live["erb.raw.x"], 1000)
	other, err := readBlock("S", 8, data[:one])
	require.NoError(t, err)
	assert.Len(t, other.gaps, 1, "a block of another number")

	r := rand.New(rand.NewPCG(1, 2))
	for name, spoil := range map[string]func(b []byte){
		"zeros": func(b []byte) { clear(b) },
		"chance": func(b []byte) {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		},
		// A length and a number may begin at every byte.
		"small numbers": func(b []byte) {
			for i := range b {
				b[i] = byte(i * 7919 >> 3 % 3)
			}
		},
	} {
		spoilt := append([]byte(nil), data...)
		spoil(spoilt[10*one+5 : 600*one+5])
		b, err := readBlock("S", 7, spoilt)
		require.NoError(t, err, name)
		assert.Equal(t, []gap{{from: 10 * one, to: 601 * one, before: 10, after: 602}}, b.gaps, name)
		assert.Len(t, b.live["erb.raw.x"], 409, name)
		mended, err := readBlock("S", 7, b.without())
		require.NoError(t, err, name)
		assert.Empty(t, mended.gaps, name)
		assert.Equal(t, b.live, mended.live, name)
	}
}

// BenchmarkReadBlock measures the inspection of a sound store.
func BenchmarkReadBlock(b *testing.B) {
	data := madeBlock(b, 5000, 1500)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := readBlock("S", 7, data); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzReadBlock(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	f.Add(make([]byte, 100), uint16(3))
	f.Fuzz(func(t *testing.T, data []byte, index uint16) {
		b, err := readBlock("S", int(index), data)
		require.NoError(t, err)
		again, err := readBlock("S", int(index), b.without())
		require.NoError(t, err)
		require.Empty(t, again.gaps)
	})
}

func FuzzReadConsumer(f *testing.F) {
	f.Add([]byte{22, 2, 1, 1, 2, 2, 0, 0})
	f.Fuzz(func(_ *testing.T, data []byte) { readConsumer(data) })
}
