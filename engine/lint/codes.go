package lint

// The codes of this package. Those of the loader (yaml-syntax, unknown-key, expr-type and so on) come with them.
const (
	// CodeUnknownField: a member of a statement that the specification of the backend does not know.
	CodeUnknownField = "unknown-field"
	// CodeExtensionKey: a key of extensions that is no IRI.
	CodeExtensionKey = "extension-key"
	// CodeAction: an action that Caliper does not know, or not for this type of event.
	CodeAction = "caliper-action"
	// CodeEventType: a type of event that Caliper does not know.
	CodeEventType = "caliper-type"
	// CodeUnusedValue: a let or table that nothing uses.
	CodeUnusedValue = "unused-value"
	// CodeUnusedFile: a file that maps no event and that no file extends.
	CodeUnusedFile = "unused-file"
	// CodeUntestedPath: a path that no golden event has.
	CodeUntestedPath = "untested-path"
	// CodeNoCase: a mapped event without a golden case.
	CodeNoCase = "no-case"
	// CodeNoMatch: match_params that no golden event satisfies.
	CodeNoMatch = "no-match"
	// CodeLoosePattern: a pattern that matches more than it seems to.
	CodeLoosePattern = "loose-pattern"
)

// Codes lists the codes of this package with what they mean, in order.
func Codes() [][2]string {
	return [][2]string{
		{CodeUnknownField, "a member of a statement that the specification does not know"},
		{CodeExtensionKey, "a key of extensions that is no IRI"},
		{CodeAction, "an action that Caliper does not allow for this type of event"},
		{CodeEventType, "a type of event that Caliper does not know"},
		{CodeUnusedValue, "a let or table that nothing uses"},
		{CodeUnusedFile, "a file that maps no event and that no file extends"},
		{CodeUntestedPath, "a path that no golden event has"},
		{CodeNoCase, "a mapped event without a golden case"},
		{CodeNoMatch, "match_params that no golden event satisfies"},
		{CodeLoosePattern, "a pattern that matches more than it seems to"},
	}
}
