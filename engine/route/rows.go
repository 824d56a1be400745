package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/netscope"
)

// rowModel is the Django model whose rows are routers.
const rowModel = "event_routing_backends.routerconfiguration"

// ErrRows is wrapped by the errors of ImportRows.
var ErrRows = errors.New("unusable router rows")

// Imported is a routers file made of database rows.
type Imported struct {
	// YAML is the file. It holds no secrets but refers to environment variables.
	YAML []byte
	// Secrets are the variables and their values, in the order of the file. Keep them out of logs.
	Secrets []Variable
	// Notes tell the operator what was left out or changed. They hold no secrets.
	Notes []string
	// Routers is the number of routers in the file.
	Routers int
}

// Variable is an environment variable with a secret value.
type Variable struct{ Name, Value string }

type row struct {
	PK     int64
	fields struct {
		Backend string          `json:"backend_name"`
		Enabled *bool           `json:"enabled"`
		URL     string          `json:"route_url"`
		Scheme  string          `json:"auth_scheme"`
		Key     string          `json:"auth_key"`
		User    string          `json:"username"`
		Pass    string          `json:"password"`
		Config  json.RawMessage `json:"configurations"`
	}
}

// ImportRows reads what `manage.py dumpdata event_routing_backends.routerconfiguration` writes (with the encrypted
// columns decrypted) and makes a routers file of it. Rows of other models are passed over. The model keeps every
// change as a row: of the rows with one backend and URL only the newest counts. Errors wrap ErrRows and hold no
// secrets.
func ImportRows(src []byte) (*Imported, error) {
	rows, err := readRows(src)
	if err != nil {
		return nil, err
	}
	out := &Imported{}
	file := map[string]*yaml.Node{}
	names := map[string]int{}
	for _, r := range newest(rows, out) {
		format, err := deliver.ParseFormat(strings.ToLower(r.fields.Backend))
		if err != nil {
			out.note(r, "has backend %q, which is neither xapi nor caliper: left out", r.fields.Backend)
			continue
		}
		backend := "xapi"
		if format == deliver.Caliper {
			backend = "caliper"
		}
		name := unique(names, backend, nameOf(r.fields.URL))
		n, err := out.router(r, backend, name)
		if err != nil {
			return nil, err
		}
		if file[backend] == nil {
			file[backend] = &yaml.Node{Kind: yaml.SequenceNode}
		}
		file[backend].Content = append(file[backend].Content, n)
		out.Routers++
	}
	root := mapping()
	for _, b := range []string{"xapi", "caliper"} {
		if file[b] != nil {
			set(root, b, file[b])
		}
	}
	if out.Routers == 0 {
		return nil, fmt.Errorf("%w: there is no router in it: export the model %s", ErrRows, rowModel)
	}
	if out.YAML, err = yaml.Marshal(root); err != nil {
		return nil, fmt.Errorf("%w: write the routers file: %w", ErrRows, err)
	}
	if err := out.check(); err != nil {
		return nil, err
	}
	return out, nil
}

// check reads the file back, so that what cannot work is told now.
func (im *Imported) check() error {
	s, faults := Parse("routers.yaml", im.YAML, Options{})
	if err := faults.Err(); err != nil {
		return fmt.Errorf("%w: the rows hold what erbd refuses: %w", ErrRows, err)
	}
	values := map[string]string{}
	for _, v := range im.Secrets {
		values[v.Name] = v.Value
	}
	if err := s.Resolve(func(n string) (string, bool) { v, ok := values[n]; return v, ok }).Err(); err != nil {
		return fmt.Errorf("%w: the rows hold what erbd refuses: %w", ErrRows, err)
	}
	return nil
}

func (im *Imported) note(r row, format string, args ...any) {
	im.Notes = append(im.Notes, fmt.Sprintf("row %d: ", r.PK)+fmt.Sprintf(format, args...))
}

func readRows(src []byte) ([]row, error) {
	var list []struct {
		Model  string          `json:"model"`
		PK     int64           `json:"pk"`
		Fields json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(src, &list); err != nil {
		return nil, fmt.Errorf("%w: not the JSON that dumpdata writes: %s", ErrRows, jsonFault(err))
	}
	var rows []row
	for _, l := range list {
		if !strings.EqualFold(l.Model, rowModel) {
			continue
		}
		r := row{PK: l.PK}
		if err := json.Unmarshal(l.Fields, &r.fields); err != nil {
			return nil, fmt.Errorf("%w: row %d: %s", ErrRows, l.PK, jsonFault(err))
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// jsonFault says what is wrong with a JSON text without repeating any of it.
func jsonFault(err error) string {
	var te *json.UnmarshalTypeError
	var se *json.SyntaxError
	switch {
	case errors.As(err, &te):
		return fmt.Sprintf("field %q is a %s", te.Field, strings.Fields(te.Value)[0])
	case errors.As(err, &se):
		return fmt.Sprintf("syntax error at byte %d", se.Offset)
	default:
		return "it ends early"
	}
}

// newest keeps the newest row of each backend and URL, in the order of their first rows.
func newest(rows []row, out *Imported) []row {
	type key struct{ backend, url string }
	latest := map[key]int{}
	var keys []key
	old := 0
	for i, r := range rows {
		k := key{strings.ToLower(r.fields.Backend), r.fields.URL}
		j, ok := latest[k]
		if !ok {
			keys = append(keys, k)
			latest[k] = i
			continue
		}
		old++
		if r.PK > rows[j].PK {
			latest[k] = i
		}
	}
	if old > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d older rows of routers with newer ones are left out", old))
	}
	kept := make([]row, len(keys))
	for i, k := range keys {
		kept[i] = rows[latest[k]]
	}
	return kept
}

// nameOf makes a router's name of the host of its URL.
func nameOf(raw string) string {
	host := "router"
	if u, err := url.Parse(raw); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	b := []byte(host)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			b[i] = '-'
		}
	}
	return string(b[:min(len(b), 56)])
}

func unique(names map[string]int, backend, name string) string {
	for {
		k := backend + " " + name
		names[k]++
		if names[k] == 1 {
			return name
		}
		name += "-" + strconv.Itoa(names[k])
	}
}

// router makes the YAML of a row.
func (im *Imported) router(r row, backend, name string) (*yaml.Node, error) {
	n := mapping()
	set(n, "name", str(name))
	if r.fields.Enabled != nil && !*r.fields.Enabled {
		set(n, "enabled", &yaml.Node{Kind: yaml.ScalarNode, Value: "false"})
	}
	u := r.fields.URL
	if p, err := url.Parse(u); err == nil && p.User != nil {
		im.note(r, "has a user or password in its url: moved to auth")
		if r.fields.User == "" && r.fields.Pass == "" {
			r.fields.User = p.User.Username()
			r.fields.Pass, _ = p.User.Password()
			r.fields.Scheme = "basic"
		}
		p.User = nil
		u = p.String()
	}
	set(n, "url", str(literal(u)))
	c, err := r.configuration()
	if err != nil {
		return nil, err
	}
	im.authorization(&r, c)
	if a := im.auth(r, backend, name); a != nil {
		set(n, "auth", a)
	}
	im.configuration(r, c, n, backend, name)
	if p, err := url.Parse(u); err == nil && p.Scheme == "http" && child(n, "auth") != nil && netscope.OfHost(p.Hostname()) == netscope.Public {
		im.note(r, "sends credentials to %s unencrypted: use https://, or name the host in delivery.allow_plaintext", p.Host)
	}
	return n, nil
}

// configuration reads the JSON of a row; nil where there is none.
func (r row) configuration() (*yaml.Node, error) {
	raw := r.fields.Config
	var inner string
	if json.Unmarshal(raw, &inner) == nil { // a JSON text in a string
		if raw = json.RawMessage(inner); strings.TrimSpace(inner) == "" {
			return nil, nil
		}
		if !json.Valid(raw) {
			return nil, fmt.Errorf("%w: row %d: configurations is no JSON: is it still encrypted?", ErrRows, r.PK)
		}
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%w: row %d: configurations is no JSON object", ErrRows, r.PK)
	}
	return doc.Content[0], nil
}

// configuration adds override_args, match_params and headers, with references in place of secrets.
func (im *Imported) configuration(r row, c, n *yaml.Node, backend, name string) {
	if c == nil {
		return
	}
	for i := 0; i+1 < len(c.Content); i += 2 {
		key, value := c.Content[i].Value, c.Content[i+1]
		plainStyle(value)
		switch key {
		case "override_args", "match_params":
		case "headers":
			for j := 1; j < len(value.Content); j += 2 {
				header, v := value.Content[j-1].Value, value.Content[j]
				if deliver.SecretHeader(header) && v.Kind == yaml.ScalarNode && v.Value != "" {
					v.SetString(im.secret(r, backend, name, variableName(header), v.Value))
					continue
				}
				v.Value = literal(v.Value)
			}
		default:
			im.note(r, "has %q in its configurations, which no router knows: left out", key)
			continue
		}
		if value.Tag == "!!null" || (value.Kind != yaml.ScalarNode && len(value.Content) == 0) {
			continue
		}
		set(n, key, value)
	}
}

// literal escapes what would be a reference.
func literal(s string) string { return strings.ReplaceAll(s, "${", "$${") }

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func str(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func set(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, str(key), value)
}

// plainStyle lets the writer choose how to quote. A string stays one: its tag says so.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
