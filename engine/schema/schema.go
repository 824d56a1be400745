// Package schema makes the JSON Schemas of the YAML files that people write: mappings, filters, routers, settings and
// golden cases. Keys come from the Go types that the files are decoded into; what a key means comes from their tags
// or from this package. A key that nothing describes is an error, so schemas and types cannot drift apart.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/route"
	"github.com/erbd/erbd/engine/yamldoc"
)

// ErrUndescribed is the error for keys that no schema describes.
var ErrUndescribed = errors.New("a key has no description")

// Kinds lists the kinds of files that have a schema.
func Kinds() []string { return []string{"case", "filters", "mapping", "routers", "settings"} }

// FileName is the name under which the schema of a kind is shipped.
func FileName(kind string) string { return kind + ".schema.json" }

// Generate makes the schema of a kind of file, as indented JSON with a line break at its end.
func Generate(kind string) ([]byte, error) {
	g := &generator{}
	var s *object
	switch kind {
	case "mapping":
		s = g.structure(mapping.FileForm(), "mapping")
	case "filters":
		s = g.structure(mapping.FilterForm(), "filters")
	case "routers":
		router := g.structure(route.Form(), "router")
		s = newObject().set("type", "object").set("additionalProperties", false)
		list := newObject().set("description", "the routers of the backend").set("type", "array").set("items", router)
		s.set("properties", newObject().set("xapi", list).set("caliper", list))
	case "settings":
		s = g.structure(reflect.TypeFor[config.Settings](), "settings")
	case "case":
		s = g.structure(golden.CaseForm(), "case")
	default:
		return nil, fmt.Errorf("there is no schema for %q: use one of %s", kind, strings.Join(Kinds(), ", "))
	}
	if len(g.missing) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrUndescribed, strings.Join(g.missing, ", "))
	}
	root := newObject().set("$schema", "http://json-schema.org/draft-07/schema#").set("title", titles[kind])
	root.entries = append(root.entries, s.entries...)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", kind, err)
	}
	return b.Bytes(), nil
}

var titles = map[string]string{
	"mapping": "a mapping file of erbd", "filters": "a filter file of erbd", "routers": "the routers file of erbd",
	"settings": "the settings of erbd", "case": "a golden case of mapcheck",
}

// generator collects the keys that have no description.
type generator struct{ missing []string }

var (
	nodeType     = reflect.TypeFor[*yamldoc.Node]()
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[config.Secret]()
	sizeType     = reflect.TypeFor[config.Size]()
)

// structure is the schema of a struct; path names it in described.
func (g *generator) structure(t reflect.Type, path string) *object {
	properties := newObject()
	var required []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		if !ok {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if strings.Contains(options, "required") {
			required = append(required, name)
		}
		properties.set(name, g.field(f, path+"."+name))
	}
	s := newObject().set("type", "object").set("properties", properties)
	if required != nil {
		s.set("required", required)
	}
	return s.set("additionalProperties", false)
}

func (g *generator) field(f reflect.StructField, path string) *object {
	own, has := described[path]
	s := newObject()
	doc := f.Tag.Get("doc")
	if doc == "" {
		doc = own.doc
	}
	if doc != "" {
		s.set("description", doc)
	}
	isGroup := f.Type.Kind() == reflect.Struct && f.Type != secretType
	if doc == "" && !isGroup {
		g.missing = append(g.missing, path)
	}
	if has && own.schema != "" {
		s.raw(own.schema)
		return s
	}
	if f.Type == nodeType {
		g.missing = append(g.missing, path)
		return s
	}
	s.entries = append(s.entries, g.typed(f.Type, path).entries...)
	if enum := f.Tag.Get("enum"); enum != "" {
		s.set("enum", strings.Split(enum, "|"))
	}
	if value := f.Tag.Get("default"); value != "" {
		s.set("default", defaultValue(f.Type, value))
	}
	return s
}

func (g *generator) typed(t reflect.Type, path string) *object {
	s := newObject()
	switch {
	case t == durationType:
		return s.set("type", []string{"string", "number"})
	case t == sizeType:
		return s.set("type", []string{"string", "integer"})
	case t == secretType:
		return s.set("type", "string")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.typed(t.Elem(), path)
	case reflect.Struct:
		return g.structure(t, path)
	case reflect.Slice:
		return s.set("type", "array").set("items", g.typed(t.Elem(), path+"[]"))
	case reflect.Bool:
		return s.set("type", "boolean")
	case reflect.Int, reflect.Int64:
		return s.set("type", "integer")
	case reflect.Float64:
		return s.set("type", "number")
	case reflect.String:
		return s.set("type", "string")
	}
	g.missing = append(g.missing, path)
	return s
}

// defaultValue is the default of a tag in the type of its key.
func defaultValue(t reflect.Type, text string) any {
	switch {
	case t.Kind() == reflect.Bool:
		return text == "true"
	case t.Kind() == reflect.Slice:
		return strings.Split(text, ",")
	case t.Kind() == reflect.Int && t != durationType:
		return json.Number(text)
	}
	return text
}

// object is a JSON object that keeps the order of its members.
type object struct{ entries []entry }

type entry struct {
	key   string
	value any
}

func newObject() *object { return &object{} }

func (o *object) set(key string, value any) *object {
	o.entries = append(o.entries, entry{key, value})
	return o
}

// raw adds the members of a JSON object that is known to be one.
func (o *object) raw(text string) {
	d := json.NewDecoder(strings.NewReader(text))
	if _, err := d.Token(); err != nil {
		return
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return
		}
		o.set(fmt.Sprint(key), value)
	}
}

// MarshalJSON implements json.Marshaler.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range o.entries {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{e.key, e.value} {
			if j == 1 {
				b.WriteByte(':')
			}
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				return nil, err
			}
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
