package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Codes of the diagnostics of this package.
const (
	CodeFile  = "settings-file"    // the file cannot be read
	CodeKey   = "unknown-setting"  // a flag or variable that is no setting
	CodeValue = "bad-setting"      // a value that does not fit its key
	CodeOpen  = "open-setting"     // an address or a way that shows too much to too many
	CodeClash = "clashing-setting" // two settings that exclude each other, or one that lacks another
)

// Assignment sets one key from a flag.
type Assignment struct {
	// Key is the dotted name, Value the text.
	Key, Value string
	// Source names the flag in messages, such as "--set".
	Source string
}

// ParseAssignment splits the argument key=value of a flag.
func ParseAssignment(arg, source string) (Assignment, error) {
	key, value, ok := strings.Cut(arg, "=")
	if key = strings.TrimSpace(key); !ok || key == "" {
		return Assignment{}, fmt.Errorf("%s: expected key=value, such as lms.root_url=https://lms.example.org", source)
	}
	return Assignment{Key: key, Value: value, Source: source}, nil
}

// Sources are what [Load] reads, each one overriding those before it.
type Sources struct {
	// File is a YAML or JSON file of settings; "" for none.
	File string
	// Content, unless nil, is taken for what is in File, which is not read then.
	Content []byte
	// Env is the environment as os.Environ gives it: ERB_NATS_URL for nats.url
	// and so on, and the names of the Python plugin (see [Key]), which yield to
	// those. Empty values count as not set.
	Env []string
	// Set are the flags, in their order.
	Set []Assignment
}

// Defaults returns the settings that hold where nothing else is said.
func Defaults() *Settings {
	s := &Settings{origins: map[string]origin{}}
	for i := range keyFields {
		if k := &keyFields[i]; k.Default != "" {
			// A test proves that all defaults are values of their types.
			_ = s.assign(k, k.Default)
		}
	}
	return s
}

// Load reads the settings from defaults, file, environment and flags, and
// checks them. It returns all faults of all sources; the settings are nil if
// one of them is an error. Warnings, such as for an environment variable
// ERB_… that is no setting, come with the settings. Secrets are not resolved.
func Load(src Sources) (*Settings, diag.List) {
	s := Defaults()
	var faults diag.List
	if src.File != "" {
		faults = s.readFile(src.File, src.Content)
	}
	faults = append(faults, s.readEnv(src.Env)...)
	for _, a := range src.Set {
		if d := s.set(a.Key, a.Value, origin{name: a.Source}); d != nil {
			faults = append(faults, d)
		}
	}
	if !faults.HasErrors() {
		faults = append(faults, s.Validate()...)
	}
	HideSecrets(faults)
	if faults.HasErrors() {
		return nil, faults
	}
	s.LMS.RootURL = strings.TrimRight(s.LMS.RootURL, "/")
	return s, faults
}

// origin is where the value of a key comes from; zero for the default.
type origin struct {
	name string        // of the variable or flag
	node *yamldoc.Node // of the file
}

// Origin tells where the value of a key comes from: "default", file, line and
// column, the environment variable, or the flag.
func (s *Settings) Origin(key string) string {
	switch o := s.origins[key]; {
	case o.node != nil:
		return o.node.Pos().String()
	case o.name != "":
		return o.name
	}
	return "default"
}

func (s *Settings) readFile(path string, src []byte) diag.List {
	var err error
	if src == nil {
		src, err = plainfile.Read(path)
	}
	if err != nil {
		cause := err
		if pathErr := (*os.PathError)(nil); errors.As(err, &pathErr) {
			cause = pathErr.Err
		}
		return diag.List{{Pos: diag.Position{File: path}, Code: CodeFile, Message: "cannot read settings: " + cause.Error(), Err: err}}
	}
	doc, faults := yamldoc.Parse(path, src)
	if doc == nil {
		return faults
	}
	if !faults.HasErrors() {
		faults = append(faults, yamldoc.Decode(doc.Root, s)...)
	}
	dir := filepath.Dir(path)
	for i := range keyFields {
		k := &keyFields[i]
		node := find(doc.Root, k.Name)
		if node.IsNull() {
			continue
		}
		s.origins[k.Name] = origin{node: node}
		if k.Type == TypePath {
			v := reflect.ValueOf(s).Elem().FieldByIndex(k.index)
			if p := v.String(); p != "" && p != LoggingOff && p != LoggingStdout && !filepath.IsAbs(p) {
				v.SetString(filepath.Join(dir, p))
			}
		}
	}
	return faults
}

func find(n *yamldoc.Node, key string) *yamldoc.Node {
	for part := range strings.SplitSeq(key, ".") {
		n = n.Get(part)
	}
	return n
}

func (s *Settings) readEnv(env []string) diag.List {
	values := make(map[string]string, len(env))
	for _, e := range env {
		if name, value, _ := strings.Cut(e, "="); value != "" {
			values[name] = value
		}
	}
	var faults diag.List
	known := map[string]bool{envPrefix + "CONFIG": true}
	for i := range keyFields {
		k := &keyFields[i]
		known[k.Env[0]] = true
		for _, name := range k.Env {
			value, ok := values[name]
			if !ok {
				continue
			}
			o := origin{name: "environment variable " + name}
			if strings.HasSuffix(name, "_EVENT_LOGGING_ENABLED") {
				on, err := parseBool(value)
				if err != nil {
					faults = append(faults, bad(k.Name, o, err))
					break
				}
				value = LoggingOff
				if on {
					value = LoggingStdout
				}
			}
			if d := s.set(k.Name, value, o); d != nil {
				faults = append(faults, d)
			}
			break // the first one wins
		}
	}
	var names []string
	for i := range keyFields {
		names = append(names, keyFields[i].Env[0])
	}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, envPrefix) && value != "" && !known[name] {
			faults = append(faults, &diag.Diagnostic{
				Pos: diag.Position{File: "environment variable " + name}, Severity: diag.Warning, Code: CodeKey,
				Message: "no such setting; it is ignored", Hint: diag.DidYouMean(name, names),
			})
		}
	}
	return faults
}

func (s *Settings) set(key, value string, o origin) *diag.Diagnostic {
	k, ok := keyIndex[key]
	if !ok {
		hint := diag.DidYouMean(key, keyNames())
		for _, name := range keyNames() {
			if strings.HasPrefix(name, key+".") {
				hint = "it is a group; set one of its keys, such as " + name
				break
			}
		}
		return &diag.Diagnostic{Pos: diag.Position{File: o.name}, Code: CodeKey, Message: fmt.Sprintf("unknown setting %q", key), Hint: hint}
	}
	if err := s.assign(k, value); err != nil {
		return bad(key, o, err)
	}
	s.origins[key] = o
	return nil
}

// bad reports that a variable or flag does not fit its key; the value may be a
// secret and is not shown.
func bad(key string, o origin, err error) *diag.Diagnostic {
	return &diag.Diagnostic{Pos: diag.Position{File: o.name}, Path: key, Code: CodeValue, Err: err}
}
