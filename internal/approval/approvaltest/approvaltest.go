package approvaltest

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"fairlead/internal/approval"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/sqldb"
)

// World is an installation with the team shop: dora (developer), anna, ben and
// cleo (approvers), olga (owner), vera (viewer); sam of team other, who is an
// approver there; and nils without any role.
type World struct {
	*identitytest.World
	Approvals *approval.Service
	Env       project.Environment
	People    map[string]context.Context

	t     testing.TB
	mu    sync.Mutex
	woken map[string]int
}

// New makes a World.
func New(t testing.TB, db *sqldb.DB) *World {
	t.Helper()
	w := &World{World: identitytest.New(t, db), t: t, woken: map[string]int{}, People: map[string]context.Context{}}
	w.Team("shop")
	w.Team("other")
	w.Env = w.Environment("shop", "web", "prod", project.Production)
	for name, role := range map[string]principal.Role{"dora": principal.Developer, "anna": principal.Approver, "ben": principal.Approver,
		"cleo": principal.Approver, "olga": principal.TeamOwner, "vera": principal.Viewer} {
		w.People[name] = w.User(name, "shop", role)
	}
	w.People["sam"] = w.User("sam", "other", principal.Approver)
	w.People["nils"] = w.User("nils", "")
	w.People["root"] = w.Admin
	w.Approvals = approval.New(approval.Options{DB: db, Access: w.Access, People: identity.NewDirectory(db), Wake: w})
	return w
}

// Wake implements approval.Waker.
func (w *World) Wake(_ context.Context, tx *sqldb.Tx, resourceID string) error {
	tx.After(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.woken[resourceID]++
	})
	return nil
}

// Woken tells how often a resource was woken.
func (w *World) Woken(resourceID string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.woken[resourceID]
}

// System is the context of a worker.
func (w *World) System() context.Context {
	return principal.With(context.WithoutCancel(w.t.Context()), principal.System)
}

// Ref is the principal of a name, as a request carries it.
func (w *World) Ref(name string) principal.Principal { return principal.From(w.As(name)) }

// Resource puts a resource with one revision by somebody into the environment.
func (w *World) Resource(name, by string) string {
	w.t.Helper()
	id := ident.New("res")
	who := w.Ref(by).ID
	w.Must(w.DB.Write(w.t.Context(), "test.resource", func(tx *sqldb.Tx) error {
		if _, err := tx.ExecContext(w.t.Context(), `INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase,
			revision, created_at, created_by, updated_at) VALUES ($1, $2, $3, $4, $5, 'null', 'null', 'waiting', 1, 0, $6, 0)`,
			id, name, w.Env.ID, w.Env.ProjectID, w.Env.TeamID, who); err != nil {
			return err
		}
		_, err := tx.ExecContext(w.t.Context(), `INSERT INTO revisions (resource_id, number, template, template_version, template_digest, inputs, created_at, created_by)
			VALUES ($1, 1, 'null', '1.0.0', 'd', '{}', 0, $2)`, id, who)
		return err
	}))
	return id
}

// Facts is a run by somebody of a resource that Resource made.
func (w *World) Facts(resourceID, run, by string) gate.Facts {
	return gate.Facts{Stage: gate.Plan, Action: gate.Update, RunID: run, ResourceID: resourceID, Resource: "orders", Revision: 1, Principal: w.Ref(by),
		Inputs: map[string]any{"size": "small"},
		Environment: gate.Environment{ID: w.Env.ID, Name: w.Env.Name, Class: string(w.Env.Class), ProjectID: w.Env.ProjectID, Project: w.Env.Project,
			TeamID: w.Env.TeamID, Team: w.Env.Team},
		Template: gate.Template{Name: "null", Version: "1.0.0"}}
}

// Ask is what a worker asks: needs for facts bound to a plan.
func Ask(f gate.Facts, plan string, needs ...gate.Need) gate.Ask {
	ask := gate.Ask{Facts: f, Binding: gate.Binding{gate.PartPlan: plan, gate.PartInputs: "same"}}
	for _, n := range needs {
		ask.Verdicts = append(ask.Verdicts, gate.Verdict{Source: "guardrail", Rule: "production", Strength: gate.Approve, Message: "production needs an approval", Need: &n})
	}
	return ask
}

// Settle asks in a worker's transaction.
func (w *World) Settle(ask gate.Ask) gate.Answer {
	w.t.Helper()
	a, err := w.TrySettle(ask)
	w.Must(err)
	return a
}

// TrySettle is Settle that may fail.
func (w *World) TrySettle(ask gate.Ask) (gate.Answer, error) {
	var a gate.Answer
	err := w.DB.Write(w.System(), "test.settle", func(tx *sqldb.Tx) (err error) {
		a, err = w.Approvals.Settle(w.System(), tx, ask)
		return err
	})
	return a, err
}

// Digest is what somebody who looks at an approval sees.
func (w *World) Digest(id string) string {
	w.t.Helper()
	a, err := w.Approvals.Get(w.Admin, id)
	w.Must(err)
	return a.Digest
}

// Approve votes for an approval as it is now.
func (w *World) Approve(who, id string) (approval.Approval, error) {
	return w.Approvals.Decide(w.As(who), id, approval.Ballot{Decision: approval.Approve, Digest: w.Digest(id)})
}

// Reject votes against an approval as it is now.
func (w *World) Reject(who, id, comment string) (approval.Approval, error) {
	return w.Approvals.Decide(w.As(who), id, approval.Ballot{Decision: approval.Reject, Comment: comment, Digest: w.Digest(id)})
}

// Move sets an approval's time limit to so long from now.
func (w *World) Move(id string, seconds int64) {
	w.t.Helper()
	w.Must(w.DB.Write(w.t.Context(), "test.move", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(w.t.Context(), `UPDATE approvals SET expires_at = $2 WHERE id = $1`, id, tx.Now().UnixMicro()+seconds*1_000_000)
		return err
	}))
}

// Told gives the ids of whom the newest event of a type about an approval is for.
func (w *World) Told(kind, id string) []string {
	w.t.Helper()
	var text string
	w.Must(w.DB.Read().QueryRowContext(w.t.Context(), `SELECT recipients FROM events WHERE type = $1 AND subject = $2 ORDER BY id DESC LIMIT 1`, kind, id).Scan(&text))
	var out []string
	w.Must(json.Unmarshal([]byte(text), &out))
	return out
}
