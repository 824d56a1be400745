package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/filter"
)

// Off is the value of an address that is not to be listened on.
const Off = "off"

// Validate checks the values and how they fit together. Each diagnostic has
// the key as its path and the source of the value as its position. [Load] has
// called it.
func (s *Settings) Validate() diag.List {
	c := &checker{s: s}
	for i := range keyFields {
		c.enum(&keyFields[i])
	}
	c.secrets()
	c.nats()
	c.http()
	c.delivery()
	c.tracing()
	c.lookup()
	c.rootURL()
	if s.Caliper.SensorID == "" {
		c.fault("caliper.sensor_id", CodeValue, "must not be empty")
	}
	c.names("xapi", s.XAPI.Names, s.XAPI.Regex)
	c.names("caliper", s.Caliper.Names, s.Caliper.Regex)
	c.atLeast("batch.size", int64(s.Batch.Size), 1)
	c.positive("batch.interval", s.Batch.Interval > 0)
	c.atLeast("retry.max_retries", int64(s.Retry.MaxRetries), 0)
	c.positive("retry.countdown", s.Retry.Countdown > 0)
	c.positive("timeout", s.Timeout > 0)
	c.atLeast("limits.event_bytes", int64(s.Limits.EventBytes), 1<<10)
	c.atLeast("limits.event_depth", int64(s.Limits.EventDepth), 8)
	c.atLeast("statement_log.max_size", int64(s.StatementLog.MaxSize), 1<<20)
	c.atLeast("statement_log.keep", int64(s.StatementLog.Keep), 0)
	for _, k := range [...]struct{ key, value string }{{"xapi.logging", s.XAPI.Logging}, {"caliper.logging", s.Caliper.Logging}} {
		if k.value == "" {
			c.fault(k.key, CodeValue, "must not be empty: use off, stdout or a file")
		}
	}
	return c.faults
}

// ResolveSecrets follows the references of all secrets to see that they are
// there; lookupEnv is usually os.LookupEnv.
func (s *Settings) ResolveSecrets(lookupEnv func(string) (string, bool)) diag.List {
	c := &checker{s: s}
	for _, k := range keyFields {
		if k.Type != TypeSecret {
			continue
		}
		if _, err := s.secret(&k).Resolve(lookupEnv); err != nil {
			c.fault(k.Name, CodeValue, "%w", err)
		}
	}
	return c.faults
}

// secret is the value of a key of type secret.
func (s *Settings) secret(k *keyField) Secret {
	secret, _ := reflect.ValueOf(s).Elem().FieldByIndex(k.index).Interface().(Secret)
	return secret
}

type checker struct {
	s      *Settings
	faults diag.List
}

func (c *checker) fault(key, code, format string, args ...any) *diag.Diagnostic {
	o := c.s.origins[key]
	var d *diag.Diagnostic
	if o.node != nil {
		d = o.node.Diag(diag.Error, code, key, format, args...)
		if k := keyIndex[key]; k != nil && k.Type == TypeSecret {
			d.Line = ""
		}
	} else {
		err := fmt.Errorf(format, args...)
		d = &diag.Diagnostic{Pos: diag.Position{File: c.s.Origin(key)}, Path: key, Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
	}
	c.faults = append(c.faults, d)
	return d
}

func (c *checker) enum(k *keyField) {
	if k.Enum == nil {
		return
	}
	value := reflect.ValueOf(c.s).Elem().FieldByIndex(k.index).String()
	if value == "" && k.Default == "" || slices.Contains(k.Enum, value) {
		return
	}
	d := c.fault(k.Name, CodeValue, "unknown value %q: use %s", value, strings.Join(k.Enum, ", "))
	d.Hint = diag.DidYouMean(value, k.Enum)
}

func (c *checker) atLeast(key string, value, least int64) {
	if value < least {
		c.fault(key, CodeValue, "must be at least %d", least)
	}
}

func (c *checker) positive(key string, ok bool) {
	if !ok {
		c.fault(key, CodeValue, "must be more than 0")
	}
}

func (c *checker) address(key, value string) bool {
	_, port, err := net.SplitHostPort(value)
	if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || n > 65535 {
		c.fault(key, CodeValue, "expected an address such as 127.0.0.1:4222")
		return false
	}
	return true
}

func (c *checker) nats() {
	n := &c.s.NATS
	valid := c.address("nats.listen", n.Listen)
	if n.URL == "" && n.Store == "" {
		c.fault("nats.store", CodeValue, "must not be empty: name a folder, or set nats.url")
	}
	for server := range strings.SplitSeq(n.URL, ",") {
		server = strings.TrimSpace(server)
		if n.URL == "" {
			break
		}
		u, err := url.Parse(server)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			c.fault("nats.url", CodeValue, "expected addresses such as nats://host:4222").Line = ""
			break
		}
		if u.User != nil {
			c.fault("nats.url", CodeValue, "holds credentials: move them to nats.user and nats.password, or nats.token").Line = ""
			break
		}
	}
	c.atLeast("nats.max_store", int64(n.MaxStore), 1<<20)
	if n.AckWait < time.Second {
		c.fault("nats.ack_wait", CodeValue, "must be at least 1s")
	}
	c.atLeast("nats.min_free", int64(n.MinFree), 1<<20)
	if n.Replicas < 1 || n.Replicas > 5 {
		c.fault("nats.replicas", CodeValue, "must be from 1 to 5")
	}
	c.together("nats.tls.cert", n.TLS.Cert, "nats.tls.key", n.TLS.Key)
	c.together("nats.listen_tls.cert", n.ListenTLS.Cert, "nats.listen_tls.key", n.ListenTLS.Key)
	var ways []string
	for _, way := range [...]struct {
		key string
		set bool
	}{{"nats.user", n.User != ""}, {"nats.token", n.Token.IsSet()}, {"nats.credentials", n.Credentials != ""}, {"nats.nkey", n.NKey != ""}} {
		if way.set {
			ways = append(ways, way.key)
		}
	}
	if len(ways) > 1 {
		c.fault(ways[1], CodeClash, "excludes %s: log in one way", ways[0])
	}
	if n.Password.IsSet() && n.User == "" {
		c.fault("nats.password", CodeClash, "needs nats.user too")
	}
	if n.URL == "" {
		c.embedded(valid)
	}
}

// together checks two keys that are set together or not at all.
func (c *checker) together(a, valueOfA, b, valueOfB string) {
	switch {
	case valueOfA != "" && valueOfB == "":
		c.fault(a, CodeClash, "needs %s too", b)
	case valueOfA == "" && valueOfB != "":
		c.fault(b, CodeClash, "needs %s too", a)
	}
}

func (c *checker) lookup() {
	l := &c.s.Lookup
	switch l.Type {
	case LookupFile:
		if l.Path == "" {
			c.fault("lookup.type", CodeClash, "file needs lookup.path too")
		}
	case LookupNATS:
		c.bucket("lookup.users_bucket", l.UsersBucket)
		c.bucket("lookup.courses_bucket", l.CoursesBucket)
		if l.UsersBucket == l.CoursesBucket {
			c.fault("lookup.courses_bucket", CodeClash, "is lookup.users_bucket too: use two buckets")
		}
	case LookupMySQL:
		if !l.DSN.IsSet() {
			c.fault("lookup.type", CodeClash, "mysql needs lookup.dsn too")
		}
	}
	c.together("lookup.tls.cert", l.TLS.Cert, "lookup.tls.key", l.TLS.Key)
	if l.RetiredUsers == retiredPseudonym && !l.Secret.IsSet() {
		c.fault("lookup.retired_users", CodeClash, "pseudonym needs lookup.secret too: without it anybody can compute the pseudonyms")
	}
	if l.RetiredPrefix == "" {
		c.fault("lookup.retired_prefix", CodeValue, "must not be empty")
	}
	c.positive("lookup.timeout", l.Timeout > 0)
	c.atLeast("lookup.cache_size", int64(l.CacheSize), 1)
	c.positive("lookup.cache_ttl", l.CacheTTL > 0)
	c.positive("lookup.negative_ttl", l.NegativeTTL > 0)
}

// bucket checks the name of a bucket by the rules of NATS.
func (c *checker) bucket(key, name string) {
	valid := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if name == "" || strings.IndexFunc(name, func(r rune) bool { return !valid(r) }) >= 0 {
		c.fault(key, CodeValue, "expected a name of letters, digits, _ and -")
	}
}

func (c *checker) rootURL() {
	u, err := url.Parse(c.s.LMS.RootURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		c.fault("lms.root_url", CodeValue, "expected an address such as https://lms.example.org")
	}
}

func (c *checker) names(backend string, names []string, regex Regex) {
	if !regex.set() {
		return
	}
	if names != nil {
		c.fault(backend+".regex", CodeClash, "excludes %s.names: filter by one of them", backend).Pos = c.position(backend + ".regex.type")
		return
	}
	if regex.Type == "" {
		c.fault(backend+".regex.type", CodeClash, "must be set: use allowlist or blocklist").Pos = c.position(backend + ".regex.expressions")
		return
	}
	if regex.Type != string(filter.Allowlist) && regex.Type != string(filter.Blocklist) {
		return // reported as the value of an enum
	}
	key := backend + ".regex.expressions"
	_, err := filter.Regex(filter.Type(regex.Type), regex.Expressions)
	for _, err := range unjoin(err) {
		var fault *filter.ExpressionError
		node := c.s.origins[key].node
		if !errors.As(err, &fault) || node == nil || fault.Index >= len(node.Items) {
			c.fault(key, CodeValue, "%w", err)
			continue
		}
		d := node.Items[fault.Index].Diag(diag.Error, CodeValue, "", "%w: %s", filter.ErrExpression, fault.Reason)
		d.Hint = fault.Hint
		c.faults = append(c.faults, d)
	}
}

// position is where the key, or the flag or variable for it, stands.
func (c *checker) position(key string) diag.Position {
	if o := c.s.origins[key]; o.node != nil {
		return o.node.Pos()
	}
	return diag.Position{File: c.s.Origin(key)}
}

func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
