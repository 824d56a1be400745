package config

import (
	"fmt"
	"hash"
	"reflect"
	"strings"
)

// restartKeys are the settings, and groups of them, that a running daemon keeps.
var restartKeys = []string{"nats.", "http.", "log.", "statement_log.", "tracing.", "state", "xapi.enabled", "caliper.enabled"}

// Pin gives the settings that a running daemon cannot change the values that it
// runs with, and returns the keys of those that differed, in the order of [Keys].
func (s *Settings) Pin(running *Settings) (changed []string) {
	now, before := reflect.ValueOf(s).Elem(), reflect.ValueOf(running).Elem()
	for _, k := range keyFields {
		if !needsRestart(k.Name) {
			continue
		}
		v, old := now.FieldByIndex(k.index), before.FieldByIndex(k.index)
		if !reflect.DeepEqual(v.Interface(), old.Interface()) {
			v.Set(old)
			changed = append(changed, k.Name)
		}
	}
	return changed
}

func needsRestart(key string) bool {
	for _, k := range restartKeys {
		if key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) {
			return true
		}
	}
	return false
}

// Fingerprint writes all settings to a hash: settings with the same values give
// the same, wherever they come from. Of a secret that is a reference it is the
// reference.
func (s *Settings) Fingerprint(h hash.Hash) {
	v := reflect.ValueOf(s).Elem()
	for _, k := range keyFields {
		value := v.FieldByIndex(k.index).Interface()
		if secret, ok := value.(Secret); ok {
			value = [2]string{secret.text, secret.dir}
		}
		fmt.Fprintf(h, "%s=%#v\n", k.Name, value) // a hash takes everything
	}
}
