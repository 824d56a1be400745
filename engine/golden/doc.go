// Package golden proves mappings by examples: a case is an event and the statements it must become, or the reason
// for which it must be rejected. Cases run on the same engine as erbd.
//
// A case is one YAML file, golden/BACKEND/EVENT/CASE.yaml:
//
//	description: What the case shows.
//	settings: {xapi: {actor_id: mbox}}   # only what differs from golden/settings.yaml
//	event: {name: play_video, …}         # or the line of a tracking log, as text
//	expect:                              # the statements, whole
//	  - {id: …, actor: …}
//
// where expect may also be {rejected: {field: object.id, reason: …}} or unmapped. Settings are those of erbd.yaml;
// paths in them are relative to the golden folder.
package golden
