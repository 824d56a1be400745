package route

import (
	"net/url"
	"path/filepath"
	"slices"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/netscope"
	"github.com/erbd/erbd/engine/yamldoc"
)

// text is a string of the file that may refer to secrets.
type text struct {
	node   *yamldoc.Node
	secret config.Secret
	value  string // after Resolve
}

// readText reads a string node. Its faults show no source line, which may hold a secret.
func readText(n *yamldoc.Node) (text, diag.List) {
	t := text{node: n}
	if n.IsNull() {
		return t, nil
	}
	if n.Kind != yamldoc.Scalar || n.Tag != yamldoc.String {
		d := n.Diag(diag.Error, yamldoc.CodeType, "", "expected a string")
		d.Hint, d.Line = "put it in quotes", ""
		return t, diag.List{d}
	}
	secret, err := config.NewSecret(n.Text, filepath.Dir(n.Pos().File))
	if err != nil {
		d := n.Diag(diag.Error, CodeSecret, "", "%w", err)
		d.Line = ""
		return t, diag.List{d}
	}
	t.secret = secret
	return t, nil
}

// resolve follows the references.
func (t *text) resolve(lookupEnv func(string) (string, bool)) *diag.Diagnostic {
	if t.node == nil || !t.secret.IsSet() {
		return nil
	}
	value, err := t.secret.Resolve(lookupEnv)
	if err != nil {
		d := t.node.Diag(diag.Error, CodeSecret, "", "%w", err)
		d.Line = ""
		return d
	}
	t.value = value
	return nil
}

// Resolve follows the references to secrets, which lookupEnv (usually os.LookupEnv) and files hold, and checks the
// settings with what they stand for. It returns all faults, each at its place in the file and none with a secret in it.
// Call it once, before the set is used by others.
func (s *Set) Resolve(lookupEnv func(string) (string, bool)) diag.List {
	var faults diag.List
	for _, r := range s.all {
		before := len(faults)
		for _, t := range r.texts() {
			if d := t.resolve(lookupEnv); d != nil {
				faults = append(faults, d)
			}
		}
		for _, h := range r.headers {
			if err := deliver.CheckHeader(h.name, h.value.value); err != nil && h.value.node != nil {
				d := h.value.node.Diag(diag.Error, CodeHeader, "", "%w", err)
				d.Line = ""
				faults = append(faults, d)
			}
		}
		if len(faults) > before {
			continue
		}
		c, err := deliver.New(r.Delivery(""))
		if err != nil {
			d := r.url.node.Diag(diag.Error, CodeRouter, "", "router %s cannot be used: %w", r.Name, err)
			d.Line = ""
			faults = append(faults, d)
			continue
		}
		c.Close()
	}
	faults.Sort()
	return faults
}

// Exposed warns of routers that send events, or credentials beside them, through a network without encryption. Call it
// after Resolve. Hosts in delivery.allow_plaintext are left out.
func (s *Set) Exposed() diag.List {
	var faults diag.List
	for _, r := range s.all {
		cfg := r.Delivery("")
		u, err := url.Parse(cfg.URL)
		if err != nil || u.Scheme != "http" || cfg.Targets.Plaintext {
			continue
		}
		scope := netscope.OfHost(u.Hostname())
		what := "events"
		switch {
		case scope == netscope.Loopback:
			continue
		case cfg.Credentials():
			what = "events and credentials"
		case scope != netscope.Public:
			continue
		}
		d := r.url.node.Diag(diag.Warning, CodeExposed, "", "router %s sends %s to %s unencrypted", r.Name, what, u.Host)
		d.Hint, d.Line = "use https://, or name the host in delivery.allow_plaintext", ""
		faults = append(faults, d)
	}
	faults.Sort()
	return faults
}

func (r *Router) texts() []*text {
	out := []*text{&r.url, &r.username, &r.password, &r.token}
	for i := range r.headers {
		out = append(out, &r.headers[i].value)
	}
	return slices.DeleteFunc(out, func(t *text) bool { return t.node == nil })
}
