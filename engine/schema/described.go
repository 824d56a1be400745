package schema

// description is what the Go types do not say of a key: its meaning, and its schema where it is read as YAML.
type description struct{ doc, schema string }

// The schemas of what is read as YAML.
const (
	anyText    = `{"type": "string"}`
	expression = `{"type": "string", "pattern": "^\\$\\{[\\s\\S]*\\}$"}`
	tree       = `{"type": "object"}`
	scalar     = `{"type": ["string", "number", "boolean", "null"]}`
	secret     = `{"type": ["string", "null"]}`
)

// described holds the keys by their path: kind of file, then the keys.
var described = map[string]description{
	"mapping.version":     {"version of the mapping language", `{"const": 1}`},
	"mapping.backend":     {"what the file is for: the name of its folder", `{"enum": ["xapi", "caliper"]}`},
	"mapping.description": {"what the file maps, for its readers", ""},
	"mapping.extends":     {"name of the file, without ending, whose tables, values and statement come first", anyText},
	"mapping.prune":       {"which members are left out: those that are null, or everything empty", `{"enum": ["nulls", "empties"]}`},
	"mapping.tables":      {"literals that expressions see as tables.NAME", `{"type": "object", "additionalProperties": {"type": "object"}}`},
	"mapping.let":         {"values by name, computed when something needs them, and once", tree},
	"mapping.enabled":     {"whether the events of the file are mapped: true, false, or one ${…} of settings alone", `{"type": ["boolean", "string"]}`},
	"mapping.events":      {"names of events, each with the arguments that expressions see as args.NAME", `{"type": "object", "additionalProperties": {"type": ["object", "null"]}}`},
	"mapping.statement":   {"the statement; ${…} holds an expression, and members that are null are left out", tree},

	"mapping.alternatives":             {"several statements that an event may become; the first whose when is true is taken", ""},
	"mapping.alternatives[].name":      {"name of the alternative, for messages", ""},
	"mapping.alternatives[].when":      {"condition, one ${…}; without it the alternative always applies", expression},
	"mapping.alternatives[].let":       {"values that this alternative has besides, or instead", tree},
	"mapping.alternatives[].statement": {"what this alternative lays over the statement", tree},
	"mapping.alternatives[].children":  {"further statements, one for each member of a list or object", ""},

	"mapping.alternatives[].children.for_each":  {"list or object, one ${…}; expressions see the member as item and its key as key", expression},
	"mapping.alternatives[].children.let":       {"values that these statements have besides, or instead", tree},
	"mapping.alternatives[].children.statement": {"what these statements lay over the statement", tree},

	"mapping.children":           {"further statements, one for each member of a list or object", ""},
	"mapping.children.for_each":  {"list or object, one ${…}; expressions see the member as item and its key as key", expression},
	"mapping.children.let":       {"values that these statements have besides, or instead", tree},
	"mapping.children.statement": {"what these statements lay over the statement", tree},

	"filters.version":                 {"version of the filter language", `{"const": 1}`},
	"filters.backend":                 {"what the file is for", `{"enum": ["xapi", "caliper"]}`},
	"filters.description":             {"what the filters do, for their readers", ""},
	"filters.filters":                 {"the filters, in the order in which they apply", ""},
	"filters.filters[].at":            {"extension point, or a list of them; the full names of the Python plugin work too", `{"type": ["string", "array"], "items": {"type": "string"}}`},
	"filters.filters[].description":   {"what the filter does", ""},
	"filters.filters[].when":          {"condition, one ${…}; expressions see the value as result", expression},
	"filters.filters[].value":         {"the new value", `{}`},
	"filters.filters[].set":           {"members to set; null takes one away", tree},
	"filters.filters[].delete":        {"members to delete: dotted paths, or lists of keys", `{"type": ["string", "array"]}`},
	"filters.filters[].fail_silently": {"whether a failure leaves the value as it is, instead of rejecting the event", ""},

	"router.name":          {"name, unique in its backend: letters, digits, _ and -", `{"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}`},
	"router.enabled":       {"whether the router is used", ""},
	"router.url":           {"address of the record store; ${env:NAME} and ${file:PATH} refer to secrets", anyText},
	"router.auth":          {"how to log in", `{"type": ["object", "null"], "additionalProperties": false, "properties": {"scheme": {"enum": ["none", "basic", "bearer", null]}, "username": ` + secret + `, "password": ` + secret + `, "token": ` + secret + `}}`},
	"router.match_params":  {"keys of the original event with regular expressions (RE2), one of which must be found in the value; all keys must match", `{"type": ["object", "null"], "additionalProperties": {"type": ["string", "array"], "items": {"type": "string"}}}`},
	"router.override_args": {"root keys of the statement or the envelope, added or replaced", `{"type": ["object", "null"]}`},
	"router.headers":       {"further headers of requests", `{"type": ["object", "null"], "additionalProperties": ` + scalar + `}`},
	"router.batch":         {"how statements are gathered", ""},
	"router.retry":         {"how failed requests are repeated", ""},
	"router.timeout":       {"time limit of one request", ""},
	"router.gzip":          {"whether bodies of requests are compressed", ""},
	"router.requests":      {"requests in flight at once", ""},
	"case.settings":        {"", tree},
	"case.event":           {"", `{"type": ["object", "string"]}`},
	"case.expect":          {"", `{"oneOf": [{"type": "array", "minItems": 1, "items": {"type": "object"}}, {"const": "unmapped"}, {"type": "object", "required": ["rejected"], "additionalProperties": false, "properties": {"rejected": {"type": "object", "required": ["field", "reason"], "additionalProperties": false, "properties": {"field": {"type": "string"}, "reason": {"type": "string"}}}}}]}`},
}
