package config

import "encoding/json"

// Constants returns the JSON object that mappings and filters see as settings:
// the settings that decide about output, and no secrets. mappingSet is the
// version of the mapping set, for [Settings.Version].
func (s *Settings) Constants(mappingSet string) string {
	type lms struct {
		RootURL string `json:"root_url"`
	}
	type xapi struct {
		ActorID string `json:"actor_id"`
	}
	type caliper struct {
		SensorID string `json:"sensor_id"`
		Extended bool   `json:"extended"`
	}
	constants, err := json.Marshal(struct {
		LMS                lms     `json:"lms"`
		Profile            string  `json:"profile"`
		TransformerVersion string  `json:"transformer_version"`
		XAPI               xapi    `json:"xapi"`
		Caliper            caliper `json:"caliper"`
	}{lms{s.LMS.RootURL}, s.Profile, s.Version(mappingSet), xapi{s.XAPI.ActorID}, caliper{s.Caliper.SensorID, s.MapsMore()}})
	if err != nil { // strings always have a JSON form
		return "{}"
	}
	return string(constants)
}
