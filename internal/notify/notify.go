package notify

import (
	"context"
	"net/url"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/egress"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Webhook is somebody's program that is told.
type Webhook struct {
	ID          string
	TeamID      string // whose events it gets; "" is the organisation's: all
	Team        string // its name
	URL         string
	Types       []string // patterns of event types; * stands for anything
	Description string
	Enabled     bool
	DisabledWhy string    // when it was not a person who disabled it
	Overlap     time.Time // until then the secret before signs too; zero: it does not
	CreatedAt   time.Time
	CreatedBy   string
	UpdatedAt   time.Time
	Version     int64

	Failures     int64     // in a row
	FailingSince time.Time // zero: it is well

	generation int64 // of the secret
}

// Target is the webhook as access sees it.
func (w Webhook) Target() access.Target {
	return access.Target{Kind: "webhook", ID: w.ID, Name: w.ID, TeamID: w.TeamID}
}

// Status is how a delivery stands.
type Status string

// How a delivery stands.
const (
	Pending   Status = "pending"   // to be sent, now or again
	Delivered Status = "delivered" // the receiver took it
	Failed    Status = "failed"    // given up
	Skipped   Status = "skipped"   // a mail to somebody without an address
)

// Delivery is one thing to tell one receiver.
type Delivery struct {
	ID        string
	Target    string // a webhook's id, or Mail
	Recipient string // a user's id, for mail
	User      string // their name; "" of nobody that is known
	Email     string // their address, as it is now
	EventID   string // also the webhook-id that the receiver sees
	EventType string
	Payload   string // the CloudEvent
	Status    Status
	Attempts  int64
	NextAt    time.Time // of the next attempt, while it is pending
	ExpiresAt time.Time // given up then
	LastCode  int64     // status of the last answer; 0 is none
	LastError string
	LastBody  string // the beginning of the last answer, cleaned
	CreatedAt time.Time
	UpdatedAt time.Time

	Subject, Text string // of a mail, as it is written; where one is asked for alone

	fence int64
}

// Mail is the target of what goes by e-mail.
const Mail = "smtp"

// Secrets keeps what webhooks are signed with; secret.Store does.
type Secrets interface {
	Put(ctx context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error
	Get(ctx context.Context, owner, name string) (redact.Secret, error)
	Delete(ctx context.Context, tx *sqldb.Tx, owner string) error
}

// Asker is the one way out; egress.Client is.
type Asker interface {
	CheckURL(raw string) (*url.URL, error)
	Do(ctx context.Context, r egress.Request) (egress.Response, error)
}

// People tells where users get their mail.
type People interface {
	// Address gives a user's name and e-mail address; "" when they have none,
	// are disabled, or are no user.
	Address(ctx context.Context, id string) (name, email string, err error)
}

// Message is one e-mail in plain text.
type Message struct {
	ID      string // the same for every attempt
	Name    string
	Email   string
	Subject string
	Text    string
	At      time.Time
}

// Mailer sends e-mail.
type Mailer interface {
	// Send hands m to the mail server. An error that the server will not change
	// its mind about is Invalid, code "mail_refused"; any other is Unavailable,
	// code "mail_failed". No error holds a password.
	Send(ctx context.Context, m Message) error
}
