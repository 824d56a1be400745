package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Secret is a text that is shown nowhere, such as a password. Files and flags
// refer to it: ${env:NAME} stands for an environment
// variable, ${file:PATH} for the content of a file without its last line end.
// References may stand within text; $${ stands for ${. They are only followed
// by [Secret.Resolve], after all files were parsed, so that a secret can hold
// any character and never appears in a message about a file.
//
// However it is printed, a Secret is "[redacted]", or "" if it is empty.
type Secret struct {
	text   string
	dir    string // relative paths start here
	refers bool   // the text has a reference
}

// Errors of secrets; test for them with errors.Is.
var (
	// ErrSecretSyntax: a reference is none of ${env:NAME} and ${file:PATH}.
	ErrSecretSyntax = errors.New("malformed reference to a secret")
	// ErrSecretMissing: what the reference names does not exist or is empty.
	ErrSecretMissing = errors.New("secret is not there")
	// ErrSecretLiteral: the secret itself stands where a reference to it belongs.
	ErrSecretLiteral = errors.New("the secret is written out")
)

// NewSecret returns the secret with the text, which may have references. dir is
// where relative paths start, "" for the working directory. Error: [ErrSecretSyntax].
func NewSecret(text, dir string) (Secret, error) {
	s := Secret{text: text, dir: dir}
	_, err := s.expand(func(string, string) (string, error) {
		s.refers = true
		return "", nil
	})
	if err != nil {
		return Secret{}, err
	}
	return s, nil
}

// IsSet reports whether there is any text.
func (s Secret) IsSet() bool { return s.text != "" }

// Literal reports whether the text is written out, without a reference.
func (s Secret) Literal() bool { return s.text != "" && !s.refers }

// Refers reports whether the text has a reference.
func (s Secret) Refers() bool { return s.refers }

// HintLiteral tells what to do about a secret that is written out.
const HintLiteral = "put it into an environment variable or a file of its own, and write ${env:NAME} or ${file:PATH}"

// Resolve returns the secret with its references followed; lookupEnv is
// usually os.LookupEnv. Errors: [ErrSecretMissing] and those of reading a
// file; they name the variable or file, never the content.
func (s Secret) Resolve(lookupEnv func(string) (string, bool)) (string, error) {
	return s.expand(func(kind, name string) (string, error) {
		if kind == "env" {
			value, ok := lookupEnv(name)
			if !ok || value == "" {
				return "", fmt.Errorf("%w: environment variable %s is not set", ErrSecretMissing, name)
			}
			return value, nil
		}
		if s.dir != "" && !filepath.IsAbs(name) {
			name = filepath.Join(s.dir, name)
		}
		content, err := plainfile.Read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("%w: file %s does not exist", ErrSecretMissing, name)
		case err != nil:
			return "", fmt.Errorf("read secret: %w", err)
		}
		value := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		if value == "" {
			return "", fmt.Errorf("%w: file %s is empty", ErrSecretMissing, name)
		}
		return value, nil
	})
}

// expand replaces the references of the text by what follow returns for them.
func (s Secret) expand(follow func(kind, name string) (string, error)) (string, error) {
	var out strings.Builder
	for text := s.text; ; {
		i := strings.Index(text, "${")
		if i < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		if i > 0 && text[i-1] == '$' {
			out.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		out.WriteString(text[:i])
		reference, rest, closed := strings.Cut(text[i+2:], "}")
		kind, name, _ := strings.Cut(reference, ":")
		if !closed || kind != "env" && kind != "file" || strings.TrimSpace(name) == "" {
			return "", fmt.Errorf("%w: write ${env:NAME} or ${file:PATH}, and $${ for a plain ${", ErrSecretSyntax)
		}
		value, err := follow(kind, strings.TrimSpace(name))
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = rest
	}
}

const redacted = "[redacted]"

// String implements fmt.Stringer without giving the secret away.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return redacted
}

// Format implements fmt.Formatter for every verb, so that no %#v or %x shows it.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, and so JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalDoc implements [yamldoc.Unmarshaler].
func (s *Secret) UnmarshalDoc(n *yamldoc.Node) diag.List {
	if n.IsNull() {
		return nil
	}
	if n.Kind != yamldoc.Scalar || n.Tag != yamldoc.String {
		d := n.Diag(diag.Error, CodeValue, "", "expected a string")
		d.Hint, d.Line = "put it in quotes", "" // the line may hold the secret
		return diag.List{d}
	}
	secret, err := NewSecret(n.Text, filepath.Dir(n.Pos().File))
	if err != nil {
		d := n.Diag(diag.Error, CodeValue, "", "%w", err)
		d.Line = ""
		return diag.List{d}
	}
	*s = secret
	return nil
}
