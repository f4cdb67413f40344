package notify

import (
	"encoding/json"
	"time"

	"fairlead/internal/event"
)

// typePrefix makes an event's type one of ours among all that a receiver gets.
const typePrefix = "dev.fairlead."

// cloudEvent is an event in the structured JSON form of CloudEvents 1.0. The
// last three are extensions.
type cloudEvent struct {
	SpecVersion     string         `json:"specversion"`
	ID              string         `json:"id"`
	Source          string         `json:"source"`
	Type            string         `json:"type"`
	Subject         string         `json:"subject,omitempty"`
	Time            string         `json:"time"`
	DataContentType string         `json:"datacontenttype"`
	Data            map[string]any `json:"data"`
	Team            string         `json:"teamid,omitempty"`
	Project         string         `json:"projectid,omitempty"`
	Environment     string         `json:"environmentid,omitempty"`
}

func (s *Service) payload(e event.Event) (string, error) {
	data := e.Data
	if data == nil {
		data = map[string]any{}
	}
	b, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Source: s.Source, Type: typePrefix + e.Type, Subject: e.Subject,
		Time: e.At.UTC().Format(time.RFC3339Nano), DataContentType: "application/json", Data: data,
		Team: e.TeamID, Project: e.ProjectID, Environment: e.EnvironmentID,
	})
	return string(b), err
}
