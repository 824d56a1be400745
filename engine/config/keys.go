package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Key describes one setting.
type Key struct {
	// Name is the dotted name, such as nats.url.
	Name string
	// Type is string, path, secret, bool, int, size, duration or list.
	Type string
	// Default as it could be written on the command line; "" for none.
	Default string
	// Doc says what it means.
	Doc string
	// Enum holds the allowed values, nil if all are.
	Enum []string
	// Env names the environment variables, the one that wins first.
	Env []string
}

// The types of keys.
const (
	TypeString   = "string"
	TypePath     = "path"
	TypeSecret   = "secret"
	TypeBool     = "bool"
	TypeInt      = "int"
	TypeSize     = "size"
	TypeDuration = "duration"
	TypeList     = "list"
)

// keyField is a key with its place in Settings.
type keyField struct {
	Key
	index []int
}

var (
	keyFields = collect(reflect.TypeFor[Settings](), "", nil)
	keyIndex  = func() map[string]*keyField {
		m := make(map[string]*keyField, len(keyFields))
		for i := range keyFields {
			m[keyFields[i].Name] = &keyFields[i]
		}
		return m
	}()
)

// Keys returns all settings in the order of the documentation. The caller owns the slice.
func Keys() []Key {
	keys := make([]Key, len(keyFields))
	for i, f := range keyFields {
		keys[i] = f.Key
		keys[i].Enum, keys[i].Env = slices.Clone(f.Enum), slices.Clone(f.Env)
	}
	return keys
}

func keyNames() []string {
	names := make([]string, len(keyFields))
	for i, f := range keyFields {
		names[i] = f.Name
	}
	return names
}

func collect(t reflect.Type, prefix string, outer []int) []keyField {
	var keys []keyField
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("yaml")
		if !ok {
			continue
		}
		name = prefix + name
		index := append(slices.Clone(outer), i)
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[Secret]() {
			keys = append(keys, collect(f.Type, name+".", index)...)
			continue
		}
		k := keyField{index: index, Key: Key{
			Name: name, Type: typeName(f), Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc"), Env: []string{envName(name)},
		}}
		if enum := f.Tag.Get("enum"); enum != "" {
			k.Enum = strings.Split(enum, "|")
		}
		if env := f.Tag.Get("env"); env != "" {
			k.Env = append(k.Env, strings.Split(env, ",")...)
		}
		keys = append(keys, k)
	}
	return keys
}

func typeName(f reflect.StructField) string {
	switch {
	case f.Type == reflect.TypeFor[Secret]():
		return TypeSecret
	case f.Type == reflect.TypeFor[Size]():
		return TypeSize
	case f.Type == reflect.TypeFor[time.Duration]():
		return TypeDuration
	case f.Type.Kind() == reflect.Bool:
		return TypeBool
	case f.Type.Kind() == reflect.Int:
		return TypeInt
	case f.Type.Kind() == reflect.Slice:
		return TypeList
	case f.Tag.Get("path") == "true":
		return TypePath
	}
	return TypeString
}

// envName is the environment variable of a key: ERB_NATS_URL for nats.url.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

const envPrefix = "ERB_"
