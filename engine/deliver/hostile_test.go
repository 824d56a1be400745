package deliver

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rawServer answers each request with bytes of the test's choice, and closes the connection.
func rawServer(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				answer(c)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return "http://" + l.Addr().String()
}

// endless writes a text again and again until the other side hangs up.
func endless(head, text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := io.WriteString(c, head); err != nil {
			return
		}
		for chunk := strings.Repeat(text, 1+4096/len(text)); ; {
			if _, err := io.WriteString(c, chunk); err != nil {
				return
			}
		}
	}
}

func bytesOf(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// bomb is a gzip body of which a few KB become 64 MB.
func bomb(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	chunk := make([]byte, 1<<20)
	for range 64 {
		_, err := z.Write(chunk)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.String()
}

// TestHostileAnswers holds answers that no record store should give: each ends, is classified by what is sure, and its
// message shows nothing of what was received.
func TestHostileAnswers(t *testing.T) {
	const echo = "Basic bmFtZTpodW50ZXIy"
	zipped := bomb(t)
	tests := []struct {
		name   string
		answer func(net.Conn)
		kind   Kind
		reason string
	}{
		{"endless body", endless("HTTP/1.1 200 OK\r\n\r\n", "x"), Delivered, "http_200"},
		{"endless chunks", endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), Delivered, "http_200"},
		{"endless refusal", endless("HTTP/1.1 400 No\r\n\r\n", "x"), Permanent, "http_400"},
		{"endless status line", endless("HTTP/1.1 200 ", "x"), Transient, "broken"},
		{"endless headers", endless("HTTP/1.1 200 OK\r\n", "A: b\r\n"), Transient, "broken"},
		{"endless header", endless("HTTP/1.1 200 OK\r\nA: ", "x"), Transient, "broken"},
		{"endless informational answers", endless("", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"), Transient, "broken"},
		{"endless interim answers", endless("", "HTTP/1.1 100 Continue\r\n\r\n"), Transient, "broken"},
		{"bomb", bytesOf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zipped), Delivered, "http_200"},
		{"bomb with a refusal", bytesOf("HTTP/1.1 409 No\r\nContent-Encoding: gzip\r\n\r\n" + zipped), Duplicate, "http_409"},
		{"no gzip", bytesOf("HTTP/1.1 400 No\r\nContent-Encoding: gzip\r\n\r\nnonsense"), Permanent, "http_400"},
		{"length too large", bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"), Delivered, "http_200"},
		{"length too small", bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nHTTP/1.1 400 No\r\n\r\n"), Delivered, "http_200"},
		{"two lengths", bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), Transient, "broken"},
		{"length of nonsense", bytesOf("HTTP/1.1 200 OK\r\nContent-Length: " + echo + "\r\n\r\n"), Transient, "broken"},
		{"broken chunks", bytesOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Delivered, "http_200"},
		{"unknown encoding", bytesOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + echo + "\r\n\r\n"), Transient, "broken"},
		{"no http", bytesOf(echo + "\x1b[31m\x00\r\n\r\n"), Transient, "broken"},
		{"older than http/1", bytesOf("<html>" + strings.Repeat(echo, 100) + "</html>"), Transient, "broken"},
		{"echoed header", bytesOf("HTTP/1.1 200 OK\r\nAuthorization " + echo + "\r\n\r\n"), Transient, "broken"},
		{"status of nonsense", bytesOf("HTTP/1.1 " + echo + "\r\n\r\n"), Transient, "broken"},
		{"status too large", bytesOf("HTTP/1.1 999 No\r\n\r\n"), Transient, "http_999"},
		{"status zero", bytesOf("HTTP/1.1 000 No\r\n\r\n"), Transient, "http_0"},
		{"upgrade", bytesOf("HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + echo + "\r\nConnection: Upgrade\r\n\r\n"), Transient, "http_101"},
		{"nothing", bytesOf(""), Transient, "broken"},
		{"half a status line", bytesOf("HTTP/1.1 2"), Transient, "broken"},
		{"ids that do not fit", bytesOf("HTTP/1.1 200 OK\r\n\r\n[\"other\",\"and\",\"more\"]"), Delivered, "http_200"},
		{"a conflict of nonsense", bytesOf("HTTP/1.1 409 Conflict\r\n\r\n\xff\x00\x1b[2J{"), Duplicate, "http_409"},
		{"a redirect to nonsense", bytesOf("HTTP/1.1 302 Found\r\nLocation: http://u:" + echo + "@h:x/%zz\r\n\r\n"), Transient, "broken"},
		{"a redirect with a password", bytesOf("HTTP/1.1 302 Found\r\nLocation: http://u:" + echo[6:] + "@h/\r\n\r\n"), Pause, "redirect"},
		{"a redirect with control characters", bytesOf("HTTP/1.1 302 Found\r\nLocation: /" + echo + "\x7f\r\n\r\n"), Transient, "broken"},
		{"a redirect to a far host", bytesOf("HTTP/1.1 302 Found\r\nLocation: http://" + strings.Repeat("x", 10_000) + "/\r\n\r\n"), Pause, "redirect"},
		{"a redirect far away", bytesOf("HTTP/1.1 302 Found\r\nLocation: /" + strings.Repeat("x%20", 10_000) + "\r\n\r\n"), Pause, "redirect"},
		{"a wait for ever", bytesOf("HTTP/1.1 503 No\r\nRetry-After: 99999999999999999999999\r\n\r\n"), Transient, "http_503"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t, Config{URL: rawServer(t, tt.answer), Timeout: 20 * time.Second})
			out := c.Send(t.Context(), items("a"))
			require.Len(t, out, 1)
			assert.Equal(t, tt.kind, out[0].Kind, "%v", out[0])
			assert.Equal(t, tt.reason, out[0].Reason, "%v", out[0])
			checkOutcome(t, out[0])
			if out[0].Err != nil {
				assert.NotContains(t, out[0].Err.Error(), echo[6:])
			}
		})
	}
}

// checkOutcome holds what is true of every outcome.
func checkOutcome(t *testing.T, o Outcome) {
	t.Helper()
	assert.NotZero(t, o.Kind)
	assert.NotEmpty(t, o.Reason)
	assert.LessOrEqual(t, len(o.Reason), 20)
	assert.LessOrEqual(t, len(o.Answer), MaxAnswer)
	assert.LessOrEqual(t, o.After, MaxRetryAfter)
	text := o.Answer
	if o.Err != nil {
		text += o.Err.Error()
		assert.Less(t, len(o.Err.Error()), 400)
	}
	assert.True(t, utf8.ValidString(text), "%q", text)
	assert.False(t, strings.ContainsFunc(text, unicode.IsControl), "%q", text)
}

// FuzzAnswer lets a server answer with any bytes.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\n[]", "HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 503 No\r\nRetry-After: 5\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "HTTP/1.0 409\r\n\r\n\xff", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", "HTTP/1.1 415 No\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b", "garbage",
	} {
		f.Add([]byte(s))
	}
	var answer []byte
	url := rawServer(f, func(c net.Conn) { _, _ = c.Write(answer) })
	c, err := New(Config{Format: XAPI, URL: url, Timeout: 5 * time.Second, Gzip: true})
	require.NoError(f, err)
	f.Cleanup(c.Close)
	f.Fuzz(func(t *testing.T, b []byte) {
		c.Close() // no answer is one to the request before
		answer = b
		c.noGzip.Store(false)
		out := c.Send(t.Context(), items("a"))
		require.Len(t, out, 1)
		checkOutcome(t, out[0])
		require.NotEqual(t, Aborted, out[0].Kind)
		if out[0].Err != nil && out[0].Status == 0 {
			for i := 0; i+12 < len(b); i++ {
				require.NotContains(t, out[0].Err.Error(), string(b[i:i+12]))
			}
		}
		if out[0].Kind == Delivered {
			require.True(t, out[0].Status >= 200 && out[0].Status <= 299)
			require.Contains(t, string(b), fmt.Sprint(out[0].Status))
		}
	})
}

// FuzzSplit lets a store refuse any of the statements, with any of the codes for refused batches: the culprits alone
// are refused, all others are taken, and the requests are bounded.
func FuzzSplit(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 2, 0, 3, 0}, uint8(0))
	f.Add([]byte{1, 1, 1, 1}, uint8(1))
	f.Add(make([]byte, 100), uint8(3))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 4}, uint8(1))
	codes := []int{http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	f.Fuzz(func(t *testing.T, verdicts []byte, most uint8) {
		if len(verdicts) > 200 {
			verdicts = verdicts[:200]
		}
		n := len(verdicts)
		status := map[string]int{}
		all := numbered(n)
		for i, v := range verdicts {
			if v %= 5; v > 0 {
				status[all[i]] = codes[v-1]
			}
		}
		s := newStore(t, func(ids []string, _ http.ResponseWriter) int {
			if most > 0 && len(ids) > int(most) {
				return http.StatusRequestEntityTooLarge
			}
			for _, id := range ids {
				if code := status[id]; code != 0 {
					return code
				}
			}
			return http.StatusOK
		})
		out := client(t, Config{URL: s.URL}).Send(t.Context(), items(all...))
		require.Len(t, out, n)
		for i, id := range all {
			switch status[id] {
			case 0:
				require.Equal(t, Delivered, out[i].Kind)
				require.Equal(t, 1, s.taken[id])
			case http.StatusConflict:
				require.Equal(t, Duplicate, out[i].Kind)
			default:
				require.Equal(t, Permanent, out[i].Kind)
				require.Equal(t, status[id], out[i].Status)
			}
			if status[id] != 0 {
				require.Zero(t, s.taken[id])
			}
		}
		// A batch of n is split into at most n parts of one, by at most n-1 refusals of more.
		require.LessOrEqual(t, len(s.requests), max(2*n-1, 0))
	})
}
