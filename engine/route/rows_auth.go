package route

import (
	"encoding/base64"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/erbd/erbd/engine/deliver"
)

// authorization moves an Authorization header to where credentials belong.
func (im *Imported) authorization(r *row, c *yaml.Node) {
	headers := child(c, "headers")
	if headers == nil {
		return
	}
	for i := 0; i+1 < len(headers.Content); i += 2 {
		if !strings.EqualFold(headers.Content[i].Value, "Authorization") {
			continue
		}
		scheme, value, _ := strings.Cut(headers.Content[i+1].Value, " ")
		value = strings.TrimSpace(value)
		headers.Content = slices.Delete(headers.Content, i, i+2)
		if s, err := deliver.ParseScheme(r.fields.Scheme); err != nil || s != deliver.None {
			im.note(*r, "has an auth scheme and a header Authorization: the header is left out")
			return
		}
		pair, err := base64.StdEncoding.DecodeString(value)
		user, password, isPair := strings.Cut(string(pair), ":")
		switch {
		case strings.EqualFold(scheme, "bearer") && value != "":
			r.fields.Scheme, r.fields.Key = "bearer", value
		case strings.EqualFold(scheme, "basic") && err == nil && isPair:
			r.fields.Scheme, r.fields.User, r.fields.Pass = "basic", user, password
		default:
			im.note(*r, "has a header Authorization that is neither basic nor bearer: left out")
			return
		}
		im.note(*r, "has a header Authorization: moved to auth")
		return
	}
}

// child is the mapping below a key, nil where there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; n.Content[i].Value == key && v.Kind == yaml.MappingNode {
			return v
		}
	}
	return nil
}

func (im *Imported) auth(r row, backend, name string) *yaml.Node {
	a := mapping()
	scheme, err := deliver.ParseScheme(r.fields.Scheme)
	if err != nil {
		im.note(r, "has an unknown auth scheme: taken as none")
		return nil
	}
	switch scheme {
	case deliver.Basic:
		set(a, "scheme", str("basic"))
		set(a, "username", str(literal(r.fields.User)))
		set(a, "password", str(im.secret(r, backend, name, "PASSWORD", r.fields.Pass)))
	case deliver.Bearer:
		set(a, "scheme", str("bearer"))
		set(a, "token", str(im.secret(r, backend, name, "TOKEN", r.fields.Key)))
	default:
		return nil
	}
	return a
}

// secret remembers a value and returns the reference to it: a variable that is no setting's, which start with ERB_.
func (im *Imported) secret(r row, backend, name, what, value string) string {
	v := strings.ToUpper("ROUTER_" + backend + "_" + strings.ReplaceAll(name, "-", "_") + "_" + what)
	for slices.ContainsFunc(im.Secrets, func(s Variable) bool { return s.Name == v }) { // a-b and a_b
		v += "_"
	}
	if value == "" {
		im.note(r, "has an empty %s: %s must be set", strings.ToLower(what), v)
		value = "unset"
	}
	im.Secrets = append(im.Secrets, Variable{v, value})
	return "${env:" + v + "}"
}

// variableName makes part of the name of an environment variable.
func variableName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
}
