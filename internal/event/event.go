package event

import (
	"context"
	"encoding/json"
	"time"

	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// Topic is woken when there are new events.
const Topic = "events"

// Event is one thing that happened. Data holds no secrets.
type Event struct {
	ID            string // ULID with the prefix evt_; made by Emit
	Position      int64  // its place in the order that readers follow; 0 until it has one
	At            time.Time
	Type          string // "approval.requested", "lease.warned", …: noun.verb
	Subject       string // id of what it is about
	TeamID        string
	ProjectID     string
	EnvironmentID string
	To            []string // ids of the users whom it concerns; they get it by e-mail
	Data          map[string]any
}

// Emit writes e in tx.
func Emit(ctx context.Context, tx *sqldb.Tx, e Event) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	to, err := json.Marshal(append([]string{}, e.To...))
	if err != nil {
		return err
	}
	tx.Notify(Topic, "")
	_, err = tx.ExecContext(ctx, `INSERT INTO events (id, at, type, subject, team_id, project_id, environment_id, recipients, data)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		ident.New("evt"), tx.Now().UnixMicro(), e.Type, e.Subject, e.TeamID, e.ProjectID, e.EnvironmentID, string(to), string(data))
	return err
}
