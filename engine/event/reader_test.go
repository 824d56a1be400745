package event_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
)

// readAll returns the lines of a log as "number:text", "number!" for skipped ones.
func readAll(r *event.Reader) (lines []string, err error) {
	var buf []byte
	next := int64(1)
	for {
		block, err := r.Read(buf)
		if err != nil {
			return lines, err
		}
		if block.First != next {
			return lines, fmt.Errorf("block starts at line %d, want %d", block.First, next)
		}
		next += block.Count
		if block.Oversized {
			lines = append(lines, fmt.Sprintf("%d!", block.First))
		}
		count := int64(0)
		for n, line := range block.Lines() {
			count++
			lines = append(lines, fmt.Sprintf("%d:%s", n, line))
		}
		if !block.Oversized && count != block.Count {
			return lines, fmt.Errorf("block counts %d lines, has %d", block.Count, count)
		}
		buf = block.Data
	}
}

func zip(t *testing.T, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&b)
		_, err := io.WriteString(w, part)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	return b.Bytes()
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 100)
	tests := []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"one byte", "a", []string{"1:a"}},
		{"no final line end", "a\nb", []string{"1:a", "2:b"}},
		{"final line end", "a\nb\n", []string{"1:a", "2:b"}},
		{"crlf and empty lines", "a\r\n\r\n\nb\r\n", []string{"1:a", "2:", "3:", "4:b"}},
		{"only line ends", "\n\n", []string{"1:", "2:"}},
		{"longest line", strings.Repeat("y", 40) + "\nb", []string{"1:" + strings.Repeat("y", 40), "2:b"}},
		{"long line in the middle", "a\n" + long + "\nb\n", []string{"1:a", "2!", "3:b"}},
		{"long lines at both ends", long + "\nb\n" + long, []string{"1!", "2:b", "3!"}},
		{"long line then many", long + "\n1\n2\n3\n4\n5\n6\n7\n8\n9", []string{"1!", "2:1", "3:2", "4:3", "5:4", "6:5", "7:6", "8:7", "9:8", "10:9"}},
	}
	for _, tt := range tests {
		sources := map[string]func() io.Reader{
			"whole":        func() io.Reader { return strings.NewReader(tt.in) },
			"byte by byte": func() io.Reader { return iotest.OneByteReader(strings.NewReader(tt.in)) },
			"data and eof": func() io.Reader { return iotest.DataErrReader(strings.NewReader(tt.in)) },
			"gzip":         func() io.Reader { return bytes.NewReader(zip(t, tt.in)) },
			"gzip members": func() io.Reader {
				half := len(tt.in) / 2
				return bytes.NewReader(zip(t, tt.in[:half], "", tt.in[half:]))
			},
		}
		for name, source := range sources {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				r := event.NewReader(source(), 40, 16)
				lines, err := readAll(r)
				require.Equal(t, io.EOF, err)
				assert.Equal(t, tt.want, lines)
				_, err = r.Read(nil)
				assert.Equal(t, io.EOF, err, "errors are final")
			})
		}
	}
}

func TestReaderErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	text := strings.Repeat("line\n", 2000) + "rest"
	zipped := zip(t, text)
	tests := []struct {
		name  string
		src   io.Reader
		lines int
		is    error
		want  string
	}{
		{"source", io.MultiReader(strings.NewReader("a\nb\nhalf"), iotest.ErrReader(broken)), 2, broken, "disk on fire"},
		{"source at once", iotest.ErrReader(broken), 0, broken, "read after line 0: disk on fire"},
		{"gzip cut off", bytes.NewReader(zipped[:len(zipped)-9]), 2000, io.ErrUnexpectedEOF, "decompress gzip after line"},
		{"gzip header cut off", bytes.NewReader(zipped[:3]), 0, io.ErrUnexpectedEOF, "decompress gzip after line 0"},
		{"gzip and junk", bytes.NewReader(append(zip(t, "a\n"), "junk"...)), 1, nil, "decompress gzip after line"},
		{"no gzip", bytes.NewReader([]byte{0x1f, 0x8b, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'}), 0, gzip.ErrHeader, "decompress gzip after line 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := event.NewReader(tt.src, 0, 0)
			lines, err := readAll(r)
			require.ErrorContains(t, err, tt.want)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
			assert.NotErrorIs(t, err, io.EOF)
			assert.Len(t, lines, tt.lines)
		})
	}
}

// A line that someone typed arrives before the next one is there.
func TestReaderFromPipe(t *testing.T) {
	in, out, err := os.Pipe()
	require.NoError(t, err)
	defer in.Close()
	r := event.NewReader(in, 0, 0)
	for i := range 3 {
		_, err = fmt.Fprintf(out, "line %d\n", i)
		require.NoError(t, err)
		block, err := r.Read(nil)
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("line %d\n", i), string(block.Data))
		assert.EqualValues(t, i+1, block.First)
	}
	require.NoError(t, out.Close())
	_, err = r.Read(nil)
	assert.Equal(t, io.EOF, err)
}

// zeros is an endless line.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	z.left -= n
	return n, nil
}

func TestReaderHoldsNoLongLine(t *testing.T) {
	r := event.NewReader(io.MultiReader(&zeros{64 << 20}, strings.NewReader("\na\n")), 1<<10, 4<<10)
	block, err := r.Read(nil)
	require.NoError(t, err)
	assert.True(t, block.Oversized)
	assert.Less(t, cap(block.Data), 64<<10)
	block, err = r.Read(nil)
	require.NoError(t, err)
	assert.EqualValues(t, 2, block.First)
	assert.Equal(t, "a\n", string(block.Data))
}

func BenchmarkParse(b *testing.B) {
	emitted := []byte(`{"name":"play_video","timestamp":"2025-11-06T05:32:14.807952Z","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0","client_id":null,"course_id":"course-v1:edX+DemoX+Demo_Course","course_user_tags":{},"event_source":"browser","host":"lms.example.edu","ip":"203.0.113.217","org_id":"edX","page":"http://lms.example.edu/courses/course-v1:edX+DemoX+Demo_Course/courseware/283fefc63f0cd0e873a0000c6d07ef7b/b2c3/1?activate_block_id=block-v1%3AedX%2BDemoX","path":"/event","referer":"http://lms.example.edu/courses/course-v1:edX+DemoX+Demo_Course/courseware/283fefc63f0cd0e873a0000c6d07ef7b/","session":"77e90d3593ad699fc1f7cd5bb2e35cbf","user_id":37,"username":"learner37"},"data":{"id":"0b9e39477cf34507a7a48f74be381fdd","code":"3_yD_cEKoCk","currentTime":23.4567,"duration":195.0}}`)
	log := bytes.Replace(emitted, []byte(`"data":{"id":"0b9e39477cf34507a7a48f74be381fdd","code":"3_yD_cEKoCk","currentTime":23.4567,"duration":195.0}`),
		[]byte(`"time":"T","event":"{\"id\":\"0b9e39477cf34507a7a48f74be381fdd\",\"code\":\"3_yD_cEKoCk\",\"currentTime\":23.4567,\"duration\":195.0}"`), 1)
	for name, line := range map[string][]byte{"emitted": emitted, "log": log} {
		b.Run(name, func(b *testing.B) {
			p := event.NewParser(event.Limits{})
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whatever the blocks, the lines are those of the text.
func FuzzReader(f *testing.F) {
	f.Add([]byte("a\r\n\nb"), 40, 16)
	f.Add([]byte(strings.Repeat("x", 100)+"\nb\n"), 10, 3)
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, '\n'}, 10, 3)
	f.Fuzz(func(t *testing.T, text []byte, maxLine, blockSize int) {
		if maxLine < 1 || maxLine > 1<<16 || blockSize < 1 || blockSize > 1<<16 {
			return
		}
		lines, err := readAll(event.NewReader(bytes.NewReader(text), maxLine, blockSize))
		if bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
			return
		}
		require.Equal(t, io.EOF, err)
		want := strings.Split(string(text), "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		require.Len(t, lines, len(want))
		for i, line := range lines {
			whole := fmt.Sprintf("%d:%s", i+1, strings.TrimSuffix(want[i], "\r"))
			if line != whole {
				require.Equal(t, fmt.Sprintf("%d!", i+1), line)
				require.Greater(t, len(want[i]), maxLine)
			}
		}
	})
}
