package notifyapi

import (
	"encoding/json"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/httpx"
	"fairlead/internal/notify"
)

// Webhook is a webhook on the wire.
type Webhook struct {
	ID           string     `json:"id"`
	Team         string     `json:"team,omitempty" doc:"Whose events it gets; absent: the organisation's, which is all"`
	URL          string     `json:"url"`
	Types        []string   `json:"types" nullable:"false" doc:"Patterns of event types"`
	Description  string     `json:"description,omitempty"`
	Enabled      bool       `json:"enabled"`
	DisabledWhy  string     `json:"disabledWhy,omitempty" doc:"When it was not a person who disabled it"`
	Failures     int64      `json:"failures" doc:"Attempts that failed in a row"`
	FailingSince *time.Time `json:"failingSince,omitempty"`
	OverlapUntil *time.Time `json:"overlapUntil,omitempty" doc:"Until then the secret before signs too"`
	CreatedAt    time.Time  `json:"createdAt"`
	UpdatedAt    time.Time  `json:"updatedAt"`
	Version      int64      `json:"version"`
}

// NewWebhook is a webhook with its secret, which is shown this once.
type NewWebhook struct {
	Webhook
	Secret string `json:"secret" doc:"What deliveries are signed with; it is shown this once"`
}

// Delivery is a delivery on the wire.
type Delivery struct {
	ID        string     `json:"id"`
	Webhook   string     `json:"webhook,omitempty"`
	Recipient string     `json:"recipient,omitempty" doc:"A user's id, of a mail"`
	User      string     `json:"user,omitempty" doc:"Their name"`
	Email     string     `json:"email,omitempty" doc:"Their address, as it is now"`
	EventID   string     `json:"eventId" doc:"Also the webhook-id that the receiver sees"`
	Type      string     `json:"type"`
	Status    string     `json:"status" enum:"pending,delivered,failed,skipped"`
	Attempts  int64      `json:"attempts"`
	NextAt    *time.Time `json:"nextAt,omitempty" doc:"Of the next attempt"`
	LastCode  int64      `json:"lastCode,omitempty" doc:"Status of the last answer"`
	LastError string     `json:"lastError,omitempty"`
	LastBody  string     `json:"lastBody,omitempty" doc:"The beginning of the last answer, cleaned"`
	CreatedAt time.Time  `json:"createdAt"`
	UpdatedAt time.Time  `json:"updatedAt"`
}

// DeliveryDetail is a delivery with what is sent.
type DeliveryDetail struct {
	Delivery
	Event   map[string]any `json:"event" nullable:"false" doc:"The CloudEvent"`
	Subject string         `json:"subject,omitempty" doc:"Of a mail"`
	Text    string         `json:"text,omitempty" doc:"Of a mail"`
}

// EventView is an event on the wire.
type EventView struct {
	ID            string         `json:"id"`
	Position      int64          `json:"position" doc:"Its place in the order of all"`
	At            time.Time      `json:"at"`
	Type          string         `json:"type"`
	Subject       string         `json:"subject,omitempty" doc:"Id of what it is about"`
	TeamID        string         `json:"teamId,omitempty"`
	ProjectID     string         `json:"projectId,omitempty"`
	EnvironmentID string         `json:"environmentId,omitempty"`
	Data          map[string]any `json:"data" nullable:"false"`
}

// Notifications is what somebody wants to be told, and how.
type Notifications struct {
	Muted  []string           `json:"muted" nullable:"false" doc:"Patterns of event types: no mail about these"`
	Quiet  []string           `json:"quiet" nullable:"false" doc:"Patterns of event types: the bell does not ring for these, which are in the list all the same; what always rings does"`
	Mailed []string           `json:"mailed" nullable:"false" doc:"Event types: mail about these, which nobody gets by default"`
	Kinds  []NotificationKind `json:"kinds" nullable:"false" doc:"Every type that can concern somebody, and how the caller is told"`
}

// NotificationKind is a type of event that can concern somebody.
type NotificationKind struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	Bell  string `json:"bell" enum:"always,on,off,none" doc:"none: there is no bell for it"`
	Mail  bool   `json:"mail" doc:"Where this installation sends any"`
}

func viewChoice(c notify.Choice) Notifications {
	v := Notifications{Muted: c.Muted, Quiet: c.Quiet, Mailed: c.Mailed, Kinds: []NotificationKind{}}
	for _, k := range c.Kinds() {
		bell := "off"
		switch {
		case !k.Rings:
			bell = "none"
		case k.Always:
			bell = "always"
		case k.Bell:
			bell = "on"
		}
		v.Kinds = append(v.Kinds, NotificationKind{Type: k.Type, Title: k.Title, Bell: bell, Mail: k.Mail})
	}
	return v
}

func viewWebhook(w notify.Webhook) Webhook {
	return Webhook{ID: w.ID, Team: w.Team, URL: w.URL, Types: w.Types, Description: w.Description, Enabled: w.Enabled, DisabledWhy: w.DisabledWhy,
		Failures: w.Failures, FailingSince: httpx.Optional(w.FailingSince), OverlapUntil: httpx.Optional(w.Overlap), CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, Version: w.Version}
}

func viewDelivery(d notify.Delivery) Delivery {
	v := Delivery{ID: d.ID, Recipient: d.Recipient, User: d.User, Email: d.Email, EventID: d.EventID, Type: d.EventType, Status: string(d.Status), Attempts: d.Attempts,
		LastCode: d.LastCode, LastError: d.LastError, LastBody: d.LastBody, CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt}
	if d.Target != notify.Mail {
		v.Webhook = d.Target
	}
	if d.Status == notify.Pending {
		v.NextAt = httpx.Optional(d.NextAt)
	}
	return v
}

func viewDetail(d notify.Delivery) (DeliveryDetail, error) {
	v := DeliveryDetail{Delivery: viewDelivery(d), Subject: d.Subject, Text: d.Text}
	return v, json.Unmarshal([]byte(d.Payload), &v.Event)
}

func viewEvent(e event.Event) EventView {
	data := e.Data
	if data == nil {
		data = map[string]any{}
	}
	return EventView{ID: e.ID, Position: e.Position, At: e.At, Type: e.Type, Subject: e.Subject, TeamID: e.TeamID, ProjectID: e.ProjectID, EnvironmentID: e.EnvironmentID, Data: data}
}
