package system

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

// WorkState says how it is with an item of the queue.
type WorkState string

// How it is with an item of the queue.
const (
	Running WorkState = "running" // a worker has it
	Waiting WorkState = "waiting" // it is due, and no worker has it
	Later   WorkState = "later"   // it is due at a later time
	Stuck   WorkState = "stuck"   // any of these, tried in vain for long; a filter, not a state
)

// Work is one item of the queue: a look at a resource, or a turn of a rollout.
type Work struct {
	Key       string // the resource's id, or the rollout's or its member's
	Engine    string // the lane: the engine, or rollout
	State     WorkState
	Stuck     bool
	DueAt     time.Time
	Attempts  int64 // since the last success
	LastError string
	Canceling bool
	Server    string // host of the server that has it; "" when none has, or it is not known
	Until     time.Time

	// Of a resource; empty for other work.
	Resource, Project, Environment, Team, Template string
	Phase, Message, Hint                           string
	Run                                            string // the newest
}

// WorkFilter narrows the queue; empty fields do not.
type WorkFilter struct {
	State  WorkState
	Engine string
	Team   string // name or id
	Search string // part of the resource's name
	Sort   string // due; - before it the other way round
}

var works = sqldb.List[Work]{
	Select: `SELECT q.key, q.lane, q.due_at, q.lease_until, q.attempts, q.last_error, q.cancel_requested, coalesce(s.host, ''),
		coalesce(r.name, ''), coalesce(p.name, ''), coalesce(e.name, ''), coalesce(t.name, ''), coalesce(r.template, ''), coalesce(r.phase, ''), coalesce(r.message, ''), coalesce(r.hint, ''),
		coalesce((SELECT u.id FROM runs u WHERE u.resource_id = r.id ORDER BY u.number DESC LIMIT 1), '')
		FROM queue q LEFT JOIN resources r ON r.id = q.key LEFT JOIN environments e ON e.id = r.environment_id LEFT JOIN projects p ON p.id = e.project_id
		LEFT JOIN teams t ON t.id = q.team LEFT JOIN replicas s ON s.holder = q.holder AND q.holder <> ''`,
	Scan: func(r sqldb.Row) (w Work, err error) {
		var due sql.NullInt64
		var lease int64
		err = r.Scan(&w.Key, &w.Engine, &due, &lease, &w.Attempts, &w.LastError, &w.Canceling, &w.Server,
			&w.Resource, &w.Project, &w.Environment, &w.Team, &w.Template, &w.Phase, &w.Message, &w.Hint, &w.Run)
		w.DueAt, w.Until = sqldb.TimeOrZero(due), sqldb.Time(lease)
		w.Stuck = w.Attempts >= queue.StuckAfter
		return w, err
	},
	Orders:  map[string]sqldb.Order[Work]{"due": {Columns: []string{"q.due_at", "q.key"}, Key: func(w Work) []any { return []any{w.DueAt.UnixMicro(), w.Key} }}},
	Default: "due",
}

// Queue lists what there is to do, what is due first first. It needs
// system:view; of a resource that the caller may not see there is nothing in it.
func (s *Service) Queue(ctx context.Context, f WorkFilter, page sqldb.Page) ([]Work, string, error) {
	if _, err := s.Access.Check(ctx, access.SystemView, target); err != nil {
		return nil, "", err
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	at, err := s.DB.About(ctx)
	if err != nil {
		return nil, "", err
	}
	now := at.UnixMicro()
	var w sqldb.Where
	w.And(`q.due_at IS NOT NULL`)
	scope.Narrow(&w, s.DB, access.Columns{Team: "q.team", Project: "r.project_id", Environment: "r.environment_id"})
	switch f.State {
	case "":
	case Running:
		w.And(`q.lease_until > ?`, now)
	case Waiting:
		w.And(`q.due_at <= ? AND q.lease_until <= ?`, now)
	case Later:
		w.And(`q.due_at > ? AND q.lease_until <= ?`, now)
	case Stuck:
		w.And(`q.attempts >= ?`, queue.StuckAfter)
	default:
		return nil, "", fault.New(fault.Invalid, "unknown_work_state", "there is no such state of work").WithField("query:state").WithHint("running, waiting, later or stuck")
	}
	if f.Engine != "" {
		w.And(`q.lane = ?`, clip(f.Engine))
	}
	if f.Team != "" {
		w.And(`(t.id = ? OR t.name = ?)`, clip(f.Team))
	}
	if f.Search != "" {
		w.And(`r.name LIKE ? ESCAPE '\'`, sqldb.Contains(clip(f.Search)))
	}
	list, next, err := works.Page(ctx, s.DB.Read(), w, f.Sort, page)
	for i := range list {
		v := &list[i]
		switch {
		case v.Until.After(at):
			v.State = Running
		case v.DueAt.After(at):
			v.State = Later
		default:
			v.State = Waiting
		}
		if v.State != Running {
			v.Server, v.Until = "", time.Time{}
		}
	}
	return list, next, err
}

// Lanes tells how much there is to do of each engine. It needs system:view.
func (s *Service) Lanes(ctx context.Context) ([]queue.Depth, error) {
	if _, err := s.Access.Check(ctx, access.SystemView, target); err != nil {
		return nil, err
	}
	return queue.Depths(ctx, s.DB)
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 80)], "") }
