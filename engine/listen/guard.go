package listen

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

// Credentials are what a page asks for: a token (bearer), or user and password (basic). The zero value asks for nothing.
type Credentials struct {
	User, Password, Token string
}

// Format implements fmt.Formatter for every verb, so that no credentials show.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// Set reports whether anything is asked for.
func (c Credentials) Set() bool { return c.User != "" || c.Token != "" }

// Allow reports whether a request may pass. It takes the same time for every wrong password.
func (c Credentials) Allow(r *http.Request) bool {
	if !c.Set() {
		return true
	}
	if c.Token != "" {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		return strings.EqualFold(scheme, "Bearer") && same(strings.TrimSpace(token), c.Token)
	}
	user, password, _ := r.BasicAuth()
	// Both are compared, so that the time does not tell which one is wrong.
	u, p := same(user, c.User), same(password, c.Password)
	return u && p
}

// same compares in constant time; the hashes keep the lengths apart from the time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Guard answers 401 to requests that may not pass.
func (c Credentials) Guard(next http.Handler) http.Handler {
	challenge := `Basic realm="erbd", charset="UTF-8"`
	if c.Token != "" {
		challenge = `Bearer realm="erbd"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.Allow(r) {
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Authorize adds the credentials to a request.
func (c Credentials) Authorize(r *http.Request) {
	switch {
	case c.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.Token)
	case c.User != "":
		r.SetBasicAuth(c.User, c.Password)
	}
}
