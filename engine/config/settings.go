// Package config holds the settings of erbd: one struct with defaults, filled
// from a file, from the environment and from flags.
//
// Every setting is a key such as nats.url. [Keys] lists them all with default
// and meaning; [Load] says where values come from. A fault in any source names
// the key and the source.
package config

import (
	"time"

	"github.com/erbd/erbd/engine/filter"
)

// The output profiles.
const (
	ProfileCompat = "compat"
	ProfileStrict = "strict"
)

// The kinds of look-up sources.
const (
	LookupNone  = "none"
	LookupFile  = "file"
	LookupNATS  = "nats"
	LookupMySQL = "mysql"
)

// retiredPseudonym is the policy for retired users that needs a secret.
const retiredPseudonym = "pseudonym"

// The kinds of xAPI actors.
const (
	ActorExternalID  = "external_id"
	ActorMbox        = "mbox"
	ActorMboxSHA1Sum = "mbox_sha1sum"
)

// LoggingOff switches a statement log off, LoggingStdout sends it to standard
// output; all other values are paths.
const (
	LoggingOff    = "off"
	LoggingStdout = "stdout"
)

// Settings are all settings of erbd, valid once [Load] returned them without
// errors. Paths from a file are relative to that file's folder, others to the
// working directory. Read-only after Load and then safe for concurrent use.
//
// The tags are the source of [Keys]: `yaml` the key, `doc` the meaning,
// `default` the default as text, `enum` the allowed values, `env` further
// environment variables, `path` marks paths.
type Settings struct {
	NATS     NATS   `yaml:"nats"`
	HTTP     HTTP   `yaml:"http"`
	Lookup   Lookup `yaml:"lookup"`
	Mappings string `yaml:"mappings" path:"true" doc:"folder of the mapping files; empty: the embedded set"`
	Filters  string `yaml:"filters" path:"true" doc:"folder of filter files, applied after those of the profile; empty: none"`
	Routers  string `yaml:"routers" path:"true" doc:"file of the routers; empty: none"`
	Profile  string `yaml:"profile" default:"compat" enum:"compat|strict" doc:"compat: output equal to the reference transformer's; strict: output that every conforming record store accepts"`
	LMS      LMS    `yaml:"lms"`
	// TransformerVersion is empty unless pinned; see [Settings.Version].
	TransformerVersion string        `yaml:"transformer_version" doc:"transformer version written into statements; empty: event-routing-backends@ and the version of the mapping set"`
	XAPI               XAPI          `yaml:"xapi"`
	Caliper            Caliper       `yaml:"caliper"`
	Critical           []string      `yaml:"critical" default:"edx.course.enrollment.activated,edx.course.enrollment.deactivated,edx.course.grade.passed.first_time" env:"EVENT_TRACKING_BACKENDS_BUSINESS_CRITICAL_EVENTS" doc:"names of events that are kept, not dropped, when delivery fails for good"`
	Batch              Batch         `yaml:"batch"`
	Retry              Retry         `yaml:"retry"`
	Timeout            time.Duration `yaml:"timeout" default:"30s" doc:"time limit of one request to a record store, for routers that set none"`
	Delivery           Delivery      `yaml:"delivery"`
	Limits             Limits        `yaml:"limits"`
	StatementLog       StatementLog  `yaml:"statement_log"`
	Log                Log           `yaml:"log"`
	Tracing            Tracing       `yaml:"tracing"`
	State              string        `yaml:"state" path:"true" doc:"folder where erbd serve remembers the configuration that worked last, to start with while a file is broken; empty: nats.store, or none with servers of nats.url; off: none"`

	origins map[string]origin
}

// NATS is the message server, embedded or external.
type NATS struct {
	URL         string  `yaml:"url" doc:"servers to connect to, separated by commas (nats://host:4222); empty: an embedded server"`
	Listen      string  `yaml:"listen" default:"127.0.0.1:4222" doc:"address of the embedded server; beyond this machine it needs nats.token, or nats.user and nats.password"`
	ListenTLS   KeyPair `yaml:"listen_tls"`
	Store       string  `yaml:"store" default:"./data" path:"true" doc:"folder of the embedded server's data"`
	SyncAlways  bool    `yaml:"sync_always" default:"true" doc:"embedded server: acknowledge a message only when it is on the disk"`
	MaxStore    Size    `yaml:"max_store" default:"10GiB" doc:"embedded server: the most it may store"`
	MinFree     Size    `yaml:"min_free" default:"256MiB" doc:"embedded server: what must stay free on the disk of the store, at most a twentieth of it; with less, no events are accepted"`
	Replicas    int     `yaml:"replicas" default:"1" doc:"copies of streams and buckets; 3 in a cluster"`
	User        string  `yaml:"user" doc:"user name at the server, and that the embedded one asks for"`
	Password    Secret  `yaml:"password" doc:"password at the server, and that the embedded one asks for"`
	Token       Secret  `yaml:"token" doc:"token at the server, and that the embedded one asks for"`
	Credentials string  `yaml:"credentials" path:"true" doc:"file of user credentials (.creds)"`
	NKey        string  `yaml:"nkey" path:"true" doc:"file of an nkey seed"`
	TLS         NATSTLS `yaml:"tls"`

	AckWait time.Duration `yaml:"ack_wait" default:"30s" doc:"how long a message stays with a daemon that gives no sign of life, before it is handed out again"`
}

// NATSTLS is the encryption of the connection to an external server.
type NATSTLS struct {
	CA   string `yaml:"ca" path:"true" doc:"file of the certificate authorities; empty: those of the system"`
	Cert string `yaml:"cert" path:"true" doc:"file of the client certificate"`
	Key  string `yaml:"key" path:"true" doc:"file of the client certificate's key"`
}

// KeyPair is the certificate of a server of this program.
type KeyPair struct {
	Cert string `yaml:"cert" path:"true" doc:"file of the server's certificate, which switches encryption on; a changed file is read again"`
	Key  string `yaml:"key" path:"true" doc:"file of the certificate's key"`
}

// IsSet reports whether connections are encrypted.
func (k KeyPair) IsSet() bool { return k.Cert != "" }

// HTTP is the endpoint of metrics and health. With a token or password all pages but /healthz and /readyz ask for it.
type HTTP struct {
	Listen   string  `yaml:"listen" default:"127.0.0.1:9090" doc:"address of /metrics, /healthz and /readyz; off: none; beyond this machine it needs http.token, or http.user and http.password"`
	User     string  `yaml:"user" doc:"user name that metrics, status and reload ask for (basic)"`
	Password Secret  `yaml:"password" doc:"password that metrics, status and reload ask for (basic)"`
	Token    Secret  `yaml:"token" doc:"token that metrics, status and reload ask for (bearer)"`
	TLS      KeyPair `yaml:"tls"`
}

// Delivery bounds where routers may send.
type Delivery struct {
	ForbidPrivateTargets bool     `yaml:"forbid_private_targets" default:"false" doc:"refuse routers that send to this machine or to private addresses, whatever their names stand for"`
	AllowTargets         []string `yaml:"allow_targets" doc:"addresses and networks (10.0.0.0/8) that routers may send to in any case, also link-local and metadata ones"`
	AllowPlaintext       []string `yaml:"allow_plaintext" doc:"hosts of routers whose credentials may go unencrypted (http://) beyond private networks"`
}

// Lookup is where users and courses come from.
type Lookup struct {
	Type           string        `yaml:"type" enum:"none|file|nats|mysql" doc:"where users and courses come from; empty: file where lookup.path is set, else none"`
	Path           string        `yaml:"path" path:"true" doc:"file of users and courses: JSON, YAML, CSV, or a folder with users.csv and courses.csv"`
	UsersBucket    string        `yaml:"users_bucket" default:"erb_users" doc:"NATS bucket of users"`
	CoursesBucket  string        `yaml:"courses_bucket" default:"erb_courses" doc:"NATS bucket of courses"`
	DSN            Secret        `yaml:"dsn" doc:"MySQL data base of the LMS, user:password@tcp(host:3306)/edxapp; it is only read"`
	TLS            LookupTLS     `yaml:"tls"`
	Timeout        time.Duration `yaml:"timeout" default:"5s" doc:"time limit of one question to nats or mysql"`
	UnknownUsers   string        `yaml:"unknown_users" enum:"reject|pseudonym" doc:"what to do about unknown users, and about external ids that a user does not have; empty: reject, or pseudonym where there is no source"`
	UnknownCourses string        `yaml:"unknown_courses" enum:"reject|course_id" doc:"what to do about unknown courses; empty: reject, or course_id where there is no source"`
	AnonymousUsers string        `yaml:"anonymous_users" default:"reject" enum:"reject|pseudonym" doc:"what to do about events of nobody, who has not logged in: reject them, or take all for one user"`
	RetiredUsers   string        `yaml:"retired_users" default:"keep" enum:"keep|reject|pseudonym" doc:"what to do about events of retired accounts: keep their external ids, reject the events, or part them from what was sent before"`
	RetiredPrefix  string        `yaml:"retired_prefix" default:"retired__user_" doc:"how the user names of retired accounts start, RETIRED_USERNAME_PREFIX of the LMS"`
	Secret         Secret        `yaml:"secret" doc:"key of the pseudonyms; another one gives other pseudonyms"`
	CacheSize      int           `yaml:"cache_size" default:"100000" doc:"answers of nats and mysql that are kept: so many of users, and of courses"`
	CacheTTL       time.Duration `yaml:"cache_ttl" default:"10m" doc:"how long an answer is kept"`
	NegativeTTL    time.Duration `yaml:"negative_ttl" default:"1m" doc:"how long the answer is kept that somebody is unknown, at most cache_ttl"`
}

// LookupTLS is the encryption of the connection to MySQL, on where any of it is
// set; with the certificates of the system, ?tls=true in the data source does.
type LookupTLS struct {
	CA   string `yaml:"ca" path:"true" doc:"mysql: file of the certificate authorities"`
	Cert string `yaml:"cert" path:"true" doc:"mysql: file of the client certificate"`
	Key  string `yaml:"key" path:"true" doc:"mysql: file of the client certificate's key"`
}

// LMS is the site that the events come from.
type LMS struct {
	RootURL string `yaml:"root_url" default:"http://localhost:18000" doc:"address of the LMS, the start of all ids in statements"`
}

// XAPI is the xAPI backend.
type XAPI struct {
	Enabled bool     `yaml:"enabled" default:"true" env:"XAPI_EVENTS_ENABLED" doc:"transform to xAPI"`
	ActorID string   `yaml:"actor_id" default:"external_id" enum:"external_id|mbox|mbox_sha1sum" env:"XAPI_AGENT_IFI_TYPE" doc:"how statements identify the actor"`
	Names   []string `yaml:"names" env:"EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS" doc:"names of events to let through; unset: the default list, unless xapi.regex is set"`
	Regex   Regex    `yaml:"regex"`
	Logging string   `yaml:"logging" default:"off" path:"true" env:"XAPI_EVENT_LOGGING_ENABLED" doc:"log of all statements (xapi_tracking): off, stdout or a file"`
}

// Caliper is the Caliper backend.
type Caliper struct {
	Enabled bool `yaml:"enabled" default:"false" env:"CALIPER_EVENTS_ENABLED" doc:"transform to Caliper"`
	// Extended is "auto", "on" or "off"; see [Caliper.MapsMore].
	Extended string   `yaml:"extended" default:"auto" enum:"auto|on|off" doc:"also map to Caliper what the reference maps to xAPI only (forum, exams, grades, completion); auto: unless the profile is compat"`
	SensorID string   `yaml:"sensor_id" default:"http://example.com/sensors" doc:"sensor of the Caliper envelopes"`
	Names    []string `yaml:"names" env:"EVENT_TRACKING_BACKENDS_ALLOWED_CALIPER_EVENTS" doc:"names of events to let through; unset: the default list, unless caliper.regex is set"`
	Regex    Regex    `yaml:"regex"`
	Logging  string   `yaml:"logging" default:"off" path:"true" env:"CALIPER_EVENT_LOGGING_ENABLED" doc:"log of all events (caliper_tracking): off, stdout or a file"`
}

// Regex is a name filter of regular expressions; instead of names.
type Regex struct {
	Type        string   `yaml:"type" enum:"allowlist|blocklist" doc:"whether a match lets an event through or keeps it out"`
	Expressions []string `yaml:"expressions" doc:"regular expressions (RE2), matched from the start of the event's name"`
}

// Batch is how routers gather statements that set nothing of their own.
type Batch struct {
	Enabled  bool          `yaml:"enabled" default:"false" env:"EVENT_ROUTING_BACKEND_BATCHING_ENABLED" doc:"send several statements in one request, for routers that set nothing of their own"`
	Size     int           `yaml:"size" default:"100" env:"EVENT_ROUTING_BACKEND_BATCH_SIZE" doc:"the most statements in one request"`
	Interval time.Duration `yaml:"interval" default:"60s" env:"EVENT_ROUTING_BACKEND_BATCH_INTERVAL" doc:"the longest time that a statement waits for others"`
}

// Retry is how routers repeat failed requests that set nothing of their own.
type Retry struct {
	MaxRetries int           `yaml:"max_retries" default:"3" env:"EVENT_ROUTING_BACKEND_MAX_RETRIES" doc:"how often a failed delivery is tried again, for routers that set nothing of their own"`
	Countdown  time.Duration `yaml:"countdown" default:"30s" env:"EVENT_ROUTING_BACKEND_COUNTDOWN" doc:"time between two attempts"`
}

// Limits bound what one event may cost, and what all that are under way do.
type Limits struct {
	EventBytes Size `yaml:"event_bytes" default:"8MiB" doc:"the largest event that is accepted"`
	EventDepth int  `yaml:"event_depth" default:"256" doc:"how deep objects and lists of an event may nest"`
	Memory     Size `yaml:"memory" default:"160MiB" doc:"erbd serve: memory beyond mappings and look-ups that makes it collect garbage more often instead of growing; GOMEMLIMIT in the environment wins; 0: no bound"`
}

// StatementLog is the rotation of xapi.logging and caliper.logging to files.
type StatementLog struct {
	MaxSize Size `yaml:"max_size" default:"100MiB" doc:"size at which a statement log in a file is rotated"`
	Keep    int  `yaml:"keep" default:"10" doc:"rotated statement logs that are kept"`
}

// Log is the log of the program itself, on standard error.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug|info|warn|error" doc:"the least severe messages to log"`
	Format string `yaml:"format" default:"text" enum:"text|json" doc:"form of the log"`
}

// Tracing is OpenTelemetry.
type Tracing struct {
	Endpoint string `yaml:"endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"OTLP endpoint for traces; empty: none"`
}

// Version returns what to write as the transformer's version: the pinned text,
// or that of the mapping set in the form of the seed.
func (s *Settings) Version(mappingSet string) string {
	if s.TransformerVersion != "" {
		return s.TransformerVersion
	}
	return "event-routing-backends@" + mappingSet
}

// StateDir returns the folder of state, or what it means where it is empty; ""
// for none.
func (s *Settings) StateDir() string {
	switch {
	case s.State == Off:
		return ""
	case s.State == "" && s.NATS.URL == "":
		return s.NATS.Store
	}
	return s.State
}

// LookupType returns lookup.type or what it means where it is empty.
func (s *Settings) LookupType() string {
	switch {
	case s.Lookup.Type != "":
		return s.Lookup.Type
	case s.Lookup.Path != "":
		return LookupFile
	}
	return LookupNone
}

// NameFilter returns the filter for the names of events: xapi.regex where it is
// set, else xapi.names, else [XAPINames].
func (x *XAPI) NameFilter() (*filter.Filter, error) { return nameFilter(x.Names, x.Regex, XAPINames) }

// MapsMore tells whether Caliper covers the events that the reference maps to
// xAPI only.
func (s *Settings) MapsMore() bool {
	return s.Caliper.Extended == "on" || s.Caliper.Extended == "auto" && s.Profile != ProfileCompat
}

// NameFilter returns the filter for the names of events: caliper.regex where it
// is set, else caliper.names, else [CaliperNames].
func (c *Caliper) NameFilter() (*filter.Filter, error) {
	return nameFilter(c.Names, c.Regex, CaliperNames)
}

func nameFilter(names []string, regex Regex, byDefault func() []string) (*filter.Filter, error) {
	switch {
	case regex.set():
		return filter.Regex(filter.Type(regex.Type), regex.Expressions)
	case names != nil:
		return filter.Names(names), nil
	}
	return filter.Names(byDefault()), nil
}

func (r *Regex) set() bool { return r.Type != "" || r.Expressions != nil }
