package route

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/yamldoc"
)

// Codes of the diagnostics of this package, beside those of yamldoc.
const (
	CodeBackend   = "unknown-backend"
	CodeName      = "router-name"
	CodeRouter    = "router-settings"
	CodeSecret    = "secret"
	CodePattern   = "bad-pattern"
	CodeOverride  = "override-args"
	CodeHeader    = "header"
	CodeExposed   = "exposed"
	CodePredicate = "match-params"
)

// Limits of the numbers of a router.
const (
	MaxBatch    = 10_000
	MaxRetries  = 1_000
	MaxRequests = 64
	// DefaultRequests is the number of requests of a router in flight at once.
	DefaultRequests = 4
)

// Options are what Parse needs beside the file.
type Options struct {
	// Backends that the file may name; nil means xapi and caliper.
	Backends []string
	// Batch, Retry and Timeout are for routers that set nothing of their own. A Timeout of 0 means
	// deliver.DefaultTimeout, and a Batch without size or a Retry without countdown get the defaults of the settings.
	Batch   config.Batch
	Retry   config.Retry
	Timeout time.Duration
	// Delivery says where routers may send, and whether credentials may go unencrypted; nil where the settings are not
	// known, which leaves encryption unchecked.
	Delivery *config.Delivery
}

// Defaults of Options, as in the settings.
const (
	DefaultBatchSize  = 100
	DefaultInterval   = 60 * time.Second
	DefaultCountdown  = 30 * time.Second
	DefaultMaxRetries = 3
)

var routerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Parse reads a routers file and returns all its faults. With an error among them the set is nil. name is the file's
// name in positions; relative paths of secrets start in its folder.
func Parse(name string, src []byte, o Options) (*Set, diag.List) {
	f, faults := yamldoc.Parse(name, src)
	if f == nil || faults.HasErrors() {
		config.HideSecrets(faults)
		return nil, faults
	}
	if o.Backends == nil {
		o.Backends = []string{"xapi", "caliper"}
	}
	if o.Timeout == 0 {
		o.Timeout = deliver.DefaultTimeout
	}
	if o.Batch.Size == 0 {
		o.Batch.Size = DefaultBatchSize
	}
	if o.Batch.Interval == 0 {
		o.Batch.Interval = DefaultInterval
	}
	if o.Retry.Countdown == 0 {
		o.Retry.Countdown = DefaultCountdown
	}
	p := &parser{options: o, faults: faults, params: map[*Router]*yamldoc.Node{}}
	sum := sha256.Sum256(src)
	set := &Set{by: map[string]*backend{}, hash: hex.EncodeToString(sum[:])}
	p.file(f.Root, set)
	p.faults.Sort()
	config.HideSecrets(p.faults)
	if p.faults.HasErrors() {
		return nil, p.faults
	}
	return set, p.faults
}

type parser struct {
	options Options
	faults  diag.List
	params  map[*Router]*yamldoc.Node // match_params that have no fault so far
}

func (p *parser) fault(d ...*diag.Diagnostic) { p.faults = append(p.faults, d...) }

func (p *parser) error(n *yamldoc.Node, code, format string, args ...any) *diag.Diagnostic {
	d := n.Diag(diag.Error, code, "", format, args...)
	p.fault(d)
	return d
}

func (p *parser) file(root *yamldoc.Node, set *Set) {
	if root.Kind != yamldoc.Mapping {
		p.error(root, yamldoc.CodeType, "expected backends with their routers, found a %s", root.Kind).Hint = "write xapi: and below it a list of routers"
		return
	}
	for _, e := range root.Entries {
		name := e.Key.Text
		if _, err := deliver.ParseFormat(name); err != nil || !slices.Contains(p.options.Backends, name) {
			p.error(e.Key, CodeBackend, "unknown backend %q", name).Hint = diag.DidYouMean(name, p.options.Backends)
			continue
		}
		if e.Value.IsNull() {
			continue
		}
		if e.Value.Kind != yamldoc.Sequence {
			p.error(e.Value, yamldoc.CodeType, "expected a list of routers, found a %s", e.Value.Kind).Hint = "start each router with a dash"
			continue
		}
		names := map[string]diag.Position{}
		b, disabled := &backend{}, &backend{}
		set.by[name] = b
		for _, n := range e.Value.Items {
			r, enabled := p.router(name, n)
			if r == nil {
				continue
			}
			if at, twice := names[r.Name]; twice {
				p.error(n.Get("name"), CodeName, "there is another router %q at %s", r.Name, at)
				continue
			}
			names[r.Name] = r.Pos
			if p.params[r] == nil {
				r.Params = nil // none, or with faults
			}
			if r.backend = disabled; enabled {
				r.backend = b
				set.all = append(set.all, r)
			}
			r.backend.routers = append(r.backend.routers, r)
		}
		p.compile(b)
		p.compile(disabled)
	}
}

// document is a router as it stands in the file.
type document struct {
	Name     *yamldoc.Node `yaml:"name,required"`
	Enabled  bool          `yaml:"enabled"`
	URL      *yamldoc.Node `yaml:"url,required"`
	Auth     *yamldoc.Node `yaml:"auth"`
	Match    *yamldoc.Node `yaml:"match_params"`
	Override *yamldoc.Node `yaml:"override_args"`
	Headers  *yamldoc.Node `yaml:"headers"`
	Batch    config.Batch  `yaml:"batch"`
	Retry    config.Retry  `yaml:"retry"`
	Timeout  time.Duration `yaml:"timeout"`
	Gzip     bool          `yaml:"gzip"`
	Requests int           `yaml:"requests"`
}

// router reads one router. It returns nil when there is too little to go on with; faults are noted either way.
func (p *parser) router(backend string, n *yamldoc.Node) (*Router, bool) {
	if n.Kind != yamldoc.Mapping {
		p.error(n, yamldoc.CodeType, "expected a router with name and url, found a %s", n.Kind)
		return nil, false
	}
	doc := document{Enabled: true, Batch: p.options.Batch, Retry: p.options.Retry, Timeout: p.options.Timeout, Requests: DefaultRequests}
	p.fault(yamldoc.Decode(n, &doc)...)
	r := &Router{Backend: backend, Pos: n.Pos(), Batch: doc.Batch, Retry: doc.Retry, Timeout: doc.Timeout, Gzip: doc.Gzip, Requests: doc.Requests, delivery: p.options.Delivery}
	p.numbers(n, r)
	p.url(doc.URL, r)
	p.auth(doc.Auth, r)
	p.match(doc.Match, r)
	p.override(doc.Override, r)
	p.headers(doc.Headers, r)
	p.plaintext(r)
	if doc.Name.IsNull() {
		return nil, false
	}
	if doc.Name.Kind != yamldoc.Scalar || !routerName.MatchString(doc.Name.Text) {
		p.error(doc.Name, CodeName, "the name of a router has 1 to 64 of the characters a-z, A-Z, 0-9, _ and -")
		return nil, false
	}
	r.Name = doc.Name.Text
	return r, doc.Enabled
}

// numbers checks what Decode cannot.
func (p *parser) numbers(n *yamldoc.Node, r *Router) {
	check := func(ok bool, what string, keys ...string) {
		if ok {
			return
		}
		at := n
		for _, k := range keys {
			if v := at.Get(k); v != nil {
				at = v
			}
		}
		p.error(at, yamldoc.CodeRange, "%s", what)
	}
	check(r.Batch.Size >= 1 && r.Batch.Size <= MaxBatch, "the size of a batch is 1 to 10000", "batch", "size")
	check(r.Batch.Interval >= 0 && r.Batch.Interval <= 24*time.Hour, "the interval of batches is 0 to 24h", "batch", "interval")
	check(r.Retry.MaxRetries >= 0 && r.Retry.MaxRetries <= MaxRetries, "max_retries is 0 to 1000", "retry", "max_retries")
	check(r.Retry.Countdown > 0 && r.Retry.Countdown <= 24*time.Hour, "countdown is above 0 and at most 24h", "retry", "countdown")
	check(r.Timeout > 0 && r.Timeout <= time.Hour, "timeout is above 0 and at most 1h", "timeout")
	check(r.Requests >= 1 && r.Requests <= MaxRequests, "requests is 1 to 64", "requests")
}

func (p *parser) url(n *yamldoc.Node, r *Router) {
	if n.IsNull() {
		return
	}
	var faults diag.List
	r.url, faults = readText(n)
	p.fault(faults...)
	if len(faults) > 0 || strings.Contains(n.Text, "${") {
		return // what it stands for is checked when it is known
	}
	probe := Router{Backend: r.Backend, url: text{value: n.Text}, delivery: r.delivery}
	cfg := probe.Delivery("")
	cfg.Targets.Plaintext = true // the credentials are looked at when they are there
	c, err := deliver.New(cfg)
	if err != nil {
		p.error(n, CodeRouter, "%w", err).Line = ""
		return
	}
	c.Close()
}

// plaintext checks what can be told of a URL without its secrets: credentials that would go unencrypted.
func (p *parser) plaintext(r *Router) {
	if r.url.node == nil || r.url.secret.Refers() {
		return
	}
	r.url.value = r.url.node.Text
	if err := r.Delivery("").CheckPlaintext(); err != nil {
		p.error(r.url.node, CodeRouter, "%w", err).Line = ""
	}
	r.url.value = ""
}

func (p *parser) auth(n *yamldoc.Node, r *Router) {
	if n.IsNull() {
		return
	}
	var doc struct {
		Scheme   *yamldoc.Node `yaml:"scheme"`
		Username *yamldoc.Node `yaml:"username"`
		Password *yamldoc.Node `yaml:"password"`
		Token    *yamldoc.Node `yaml:"token"`
	}
	faults := yamldoc.Decode(n, &doc)
	for _, d := range faults {
		d.Line = "" // may hold a secret
	}
	p.fault(faults...)
	for to, from := range map[*text]*yamldoc.Node{&r.username: doc.Username, &r.password: doc.Password, &r.token: doc.Token} {
		t, faults := readText(from)
		p.fault(faults...)
		if from != doc.Username {
			p.referred(t)
		}
		*to = t
	}
	if doc.Scheme.IsNull() {
		return
	}
	var err error
	if r.scheme, err = deliver.ParseScheme(doc.Scheme.Text); err != nil {
		p.error(doc.Scheme, CodeRouter, "%w", err).Line = ""
		return
	}
	need := func(n *yamldoc.Node, key string) {
		if n.IsNull() || n.Text == "" {
			p.error(doc.Scheme, CodeRouter, "auth scheme %s needs %s", r.scheme, key).Line = ""
		}
	}
	switch r.scheme {
	case deliver.Basic:
		need(doc.Username, "username")
		need(doc.Password, "password")
	case deliver.Bearer:
		need(doc.Token, "token")
	}
}

// referred notes a fault for a secret that is written out.
func (p *parser) referred(t text) {
	if t.secret.Literal() {
		d := p.error(t.node, CodeSecret, "%w", config.ErrSecretLiteral)
		d.Hint, d.Line = config.HintLiteral, ""
	}
}

func (p *parser) match(n *yamldoc.Node, r *Router) {
	if n.IsNull() {
		return
	}
	if n.Kind != yamldoc.Mapping {
		p.error(n, yamldoc.CodeType, "expected keys of events with regular expressions, found a %s", n.Kind)
		return
	}
	before := len(p.faults)
	for _, e := range n.Entries {
		param := Param{Key: e.Key.Text}
		if param.Key == "" || strings.HasPrefix(param.Key, ".") || strings.HasSuffix(param.Key, ".") || strings.Contains(param.Key, "..") {
			p.error(e.Key, CodePredicate, "%q is no path of an event", param.Key)
			continue
		}
		values := []*yamldoc.Node{e.Value}
		if e.Value.Kind == yamldoc.Sequence {
			values = e.Value.Items
			if len(values) == 0 {
				p.error(e.Value, CodePredicate, "an empty list matches no event").Hint = "remove the key, or write the patterns that it may match"
			}
		}
		for _, v := range values {
			if text, ok := p.pattern(v); ok {
				param.Patterns = append(param.Patterns, text)
			}
		}
		r.Params = append(r.Params, param)
	}
	if len(r.Params) > 0 && len(p.faults) == before {
		p.params[r] = n
	}
}

// pattern checks one regular expression.
func (p *parser) pattern(n *yamldoc.Node) (string, bool) {
	if n.Kind != yamldoc.Scalar || n.Tag == yamldoc.Null {
		p.error(n, yamldoc.CodeType, "expected a regular expression")
		return "", false
	}
	_, err := regexp.Compile(n.Text)
	if err == nil {
		return n.Text, true
	}
	from, to := 0, len(n.Text)
	var se *syntax.Error
	if errors.As(err, &se) && se.Expr != "" {
		if i := strings.Index(n.Text, se.Expr); i >= 0 {
			from, to = i, i+len(se.Expr)
		}
		err = errors.New(se.Code.String() + ": " + se.Expr)
	}
	d := n.DiagAt(from, to, diag.Error, CodePattern, "", "not a regular expression (RE2): %w", err)
	if strings.Contains(n.Text, "(?=") || strings.Contains(n.Text, "(?!") || strings.Contains(n.Text, "(?<") {
		d.Hint = "RE2 knows neither look-ahead nor look-behind"
	}
	p.fault(d)
	return "", false
}

func (p *parser) override(n *yamldoc.Node, r *Router) {
	if n.IsNull() {
		return
	}
	if n.Kind != yamldoc.Mapping {
		p.error(n, yamldoc.CodeType, "expected keys with values, found a %s", n.Kind)
		return
	}
	for _, e := range n.Entries {
		switch key := e.Key.Text; {
		case key == "":
			p.error(e.Key, CodeOverride, "an empty key cannot be set")
			continue
		case r.Backend == "xapi" && key == "id":
			p.error(e.Key, CodeOverride, "every statement would have the same id, and the record store would keep one of them")
			continue
		case r.Backend == "caliper" && key == "data":
			p.error(e.Key, CodeOverride, "data holds the events of the envelope and cannot be replaced")
			continue
		}
		r.Overrides = append(r.Overrides, Override{Key: e.Key.Text, Value: e.Value.AppendJSON(nil)})
	}
}

func (p *parser) headers(n *yamldoc.Node, r *Router) {
	if n.IsNull() {
		return
	}
	if n.Kind != yamldoc.Mapping {
		p.error(n, yamldoc.CodeType, "expected names of headers with values, found a %s", n.Kind).Line = ""
		return
	}
	for _, e := range n.Entries {
		t, faults := readText(e.Value)
		p.fault(faults...)
		if len(faults) > 0 {
			continue
		}
		probe := ""
		if !e.Value.IsNull() && !strings.Contains(e.Value.Text, "${") {
			probe = e.Value.Text
		}
		if err := deliver.CheckHeader(e.Key.Text, probe); err != nil {
			p.error(e.Key, CodeHeader, "%w", err).Line = ""
			continue
		}
		if deliver.SecretHeader(e.Key.Text) {
			p.referred(t)
		}
		r.headers = append(r.headers, header{e.Key.Text, t})
	}
}
