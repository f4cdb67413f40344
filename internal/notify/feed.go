package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Notification is something that happened and concerns one user: what the
// portal's bell counts.
type Notification struct {
	EventID string
	At      time.Time
	Type    string
	Title   string // what happened, in few words
	Subject string // id of what it is about
	About   string // its name
	Place   string // project/environment
	Detail  string
	ReadAt  time.Time // zero: not yet

	TeamID, ProjectID, EnvironmentID string

	userID string
}

// Approvals tells of approvals; approval.Service does, by way of app.
type Approvals interface {
	// Visible is nil when the caller may know of an approval: also who sees
	// nothing else of its place, and is asked.
	Visible(ctx context.Context, id string) error
}

// headlines are the types of events that the bell rings for, and what it says.
// The others are either known to whom they concern, who did it themselves, or
// can wait until somebody looks.
var headlines = map[string]string{
	event.ApprovalRequested:    "Your approval is asked for",
	event.ApprovalApproved:     "Approved",
	event.ApprovalRejected:     "Rejected",
	event.ApprovalExpired:      "Nobody answered in time",
	event.ApprovalVoided:       "An approval does not hold any more",
	event.ApprovalBypassed:     "Somebody went ahead without approval",
	"approval.delegated":       "Somebody stands in for another",
	event.BudgetWarned:         "A budget is nearly spent",
	event.QuotaWarned:          "A quota is nearly used up",
	event.ComplianceViolated:   "New violations of guardrails",
	event.DriftDetected:        "It is not as wanted",
	event.LeaseWarned:          "Its lease ends soon",
	event.LeaseEnded:           "Its lease has ended: it is destroyed",
	event.LeaseStuck:           "It could not be destroyed yet",
	"lease.transferred":        "The lease is yours now",
	"pin.expired":              "Its pin has ended",
	event.RequestDenied:        "A request of yours was denied",
	"rollout.waiting":          "A rollout waits for a person",
	"rollout.halted":           "A rollout has halted",
	"rollout.finished":         "A rollout is over",
	event.RunFailed:            "A run has failed",
	"template.version_broken":  "A version could not be taken in",
	"template.version_refused": "A version has changed at its source",
}

// bellOnly are the types that only who asks for it gets mail about: there may
// be many of them at once, and the page has them together.
var bellOnly = []string{event.DriftDetected, event.RunFailed}

// keptPerUser bounds a feed: what is older is crowded out by what is new.
const keptPerUser = 500

// FeedTopic is woken when a user's feed changes.
func FeedTopic(userID string) string { return "notifications " + userID }

// ring adds an event to the feeds of whom it concerns, and gives them. For who
// does not want the bell to ring for it, it is read from the beginning.
func (s *Service) ring(ctx context.Context, tx *sqldb.Tx, e event.Event, chosen choices) ([]string, error) {
	if headlines[e.Type] == "" {
		return nil, nil
	}
	n := Notification{EventID: e.ID, At: e.At, Type: e.Type, Subject: e.Subject, TeamID: e.TeamID, ProjectID: e.ProjectID, EnvironmentID: e.EnvironmentID}
	n.About, n.Place, n.Detail = describe(e)
	var users []string
	for _, id := range e.To {
		if !strings.HasPrefix(id, "usr_") { // robots have webhooks
			continue
		}
		choice, err := chosen.of(ctx, tx, s.store, id)
		if err != nil {
			return nil, err
		}
		n.userID, n.ReadAt = id, time.Time{}
		if !choice.rings(e.Type) {
			n.ReadAt = tx.Now()
		}
		if err := s.store.addNotification(ctx, tx, n); err != nil {
			return nil, err
		}
		users = append(users, id)
	}
	return users, nil
}

// describe says of an event what it is about, where, and the one thing more
// that matters.
func describe(e event.Event) (about, place, detail string) {
	text := func(keys ...string) string {
		for _, k := range keys {
			if v, ok := e.Data[k].(string); ok && v != "" {
				return v
			}
		}
		return ""
	}
	about = text("resource", "title", "name", "template")
	place = strings.Trim(text("project")+"/"+text("environment"), "/")
	kind, _, _ := strings.Cut(e.Type, ".")
	switch kind {
	case "approval":
		detail = strings.TrimPrefix(strings.Join([]string{text("summary"), text("comment", "reason")}, ": "), ": ")
		detail = strings.TrimSuffix(detail, ": ")
		if e.Type == event.ApprovalRequested && text("by") != "" {
			detail = text("by") + ": " + detail
		}
	case "lease":
		if at, err := time.Parse(time.RFC3339, text("ends")); err == nil && e.Type == event.LeaseWarned {
			detail = "at " + at.UTC().Format("2 January 15:04 MST")
		}
		detail = strings.TrimSpace(detail + " " + text("problem"))
	case "quota", "budget":
		about = text("place")
		detail = fmt.Sprintf("%s: %v of %v", text("metric"), e.Data["used"], e.Data["max"])
	case "compliance":
		about = text("team")
		detail = fmt.Sprintf("%v of %v resources", e.Data["violations"], e.Data["resources"])
	case "rollout":
		detail = strings.TrimSpace("to " + text("to") + " " + text("message"))
	case "drift":
		detail = text("cause")
	default:
		detail = text("message", "reason", "problem")
	}
	return clean(about, 200), clean(place, 200), clean(detail, 500)
}

var feed = sqldb.List[Notification]{
	Select: `SELECT n.user_id, n.event_id, n.at, n.type, n.subject, n.team_id, n.project_id, n.environment_id, n.about, n.place, n.detail, n.read_at FROM notifications n`,
	Scan: func(r sqldb.Row) (n Notification, err error) {
		var at, read int64
		err = r.Scan(&n.userID, &n.EventID, &at, &n.Type, &n.Subject, &n.TeamID, &n.ProjectID, &n.EnvironmentID, &n.About, &n.Place, &n.Detail, &read)
		n.At, n.ReadAt, n.Title = sqldb.Time(at), moment(read), headlines[n.Type]
		if n.Title == "" { // of a version that knew more, or other, types
			n.Title = n.Type
		}
		return n, err
	},
	Default: "-event",
	Orders: map[string]sqldb.Order[Notification]{
		"event": {Columns: []string{"n.event_id"}, Key: func(n Notification) []any { return []any{n.EventID} }},
	},
}

// FeedFilter narrows the feed; the zero value is all.
type FeedFilter struct{ Unread bool }

// mine is the caller's feed, as far as they may see it now: what lies where
// they have no right any more is not shown. Approvals are looked at one by
// one (see Feed): they are for people who may see nothing else of the place.
func (s *Service) mine(ctx context.Context) (principal.Principal, access.Scope, sqldb.Where, error) {
	var w sqldb.Where
	p, err := s.self(ctx)
	if err != nil {
		return p, access.Scope{}, w, err
	}
	if _, err := s.Access.Check(ctx, access.UserView, access.Target{Kind: "user", ID: p.ID, Name: p.Name, OwnerID: p.ID}); err != nil {
		return p, access.Scope{}, w, err
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return p, scope, w, err
	}
	w.And(`n.user_id = ?`, p.ID)
	scope.NarrowThose(&w, s.DB, `(n.team_id <> '' OR n.project_id <> '' OR n.environment_id <> '') AND n.type NOT LIKE 'approval.%'`,
		access.Columns{Team: "n.team_id", Project: "n.project_id", Environment: "n.environment_id"})
	return p, scope, w, nil
}

// Feed gives what happened that concerns the caller, the newest first. A page
// may be shorter than asked for while more follows.
func (s *Service) Feed(ctx context.Context, f FeedFilter, page sqldb.Page) ([]Notification, string, error) {
	_, scope, w, err := s.mine(ctx)
	if err != nil {
		return nil, "", err
	}
	if f.Unread {
		w.And(`n.read_at = 0`)
	}
	list, next, err := feed.Page(ctx, s.DB.Read(), w, "", page)
	if err != nil {
		return nil, "", err
	}
	out := []Notification{}
	for _, n := range list {
		yes, err := s.visible(ctx, scope, n)
		if err != nil {
			return nil, "", err
		}
		if yes {
			out = append(out, n)
		}
	}
	return out, next, nil
}

// visible tells of what mine gives whether the caller may still know of it.
func (s *Service) visible(ctx context.Context, scope access.Scope, n Notification) (bool, error) {
	if !strings.HasPrefix(n.Type, "approval.") || within(scope, n) || s.Approvals == nil {
		return true, nil
	}
	err := s.Approvals.Visible(ctx, n.Subject)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return false, nil
	}
	return err == nil, err
}

func within(s access.Scope, n Notification) bool {
	return s.All || slices.Contains(s.EnvironmentIDs, n.EnvironmentID) || slices.Contains(s.ProjectIDs, n.ProjectID) || slices.Contains(s.TeamIDs, n.TeamID)
}

// MaxUnread is where Unread stops counting.
const MaxUnread = 100

// Unread counts what the caller has not read, up to MaxUnread.
func (s *Service) Unread(ctx context.Context) (int, error) {
	_, scope, w, err := s.mine(ctx)
	if err != nil {
		return 0, err
	}
	w.And(`n.read_at = 0`)
	list, _, err := feed.Page(ctx, s.DB.Read(), w, "", sqldb.Page{Limit: MaxUnread})
	if err != nil {
		return 0, err
	}
	count := 0
	for _, n := range list {
		yes, err := s.visible(ctx, scope, n)
		if err != nil {
			return 0, err
		}
		if yes {
			count++
		}
	}
	return count, nil
}

// maxMarked bounds the ids of one MarkRead.
const maxMarked = 200

// MarkRead says that the caller has read some of their feed, by events' ids;
// without any, all of it. What is read already, or is not theirs, is left as it
// is.
func (s *Service) MarkRead(ctx context.Context, events []string) error {
	p, err := s.self(ctx)
	if err != nil {
		return err
	}
	me := access.Target{Kind: "user", ID: p.ID, Name: p.Name, OwnerID: p.ID}
	d, err := s.Access.Check(ctx, access.UserUpdate, me)
	if err != nil {
		return err
	}
	if len(events) > maxMarked {
		return fault.New(fault.Invalid, "invalid_request", "more than %d notifications are named", maxMarked).WithField("/events").WithHint("name none to mark all")
	}
	return s.DB.Write(ctx, "notify.read", func(tx *sqldb.Tx) error {
		n, err := s.store.markRead(ctx, tx, p.ID, events)
		if err != nil || n == 0 {
			return err
		}
		tx.Notify(FeedTopic(p.ID), "")
		audit.Append(ctx, tx, audit.Entry{Action: "user:read-notifications", Target: me, Decision: d, Details: map[string]any{"read": n}})
		return nil
	})
}

// Find gives one of the caller's notifications.
func (s *Service) Find(ctx context.Context, eventID string) (Notification, error) {
	none := fault.New(fault.NotFound, "not_found", "there is no such notification").WithHint("see what there is: fairlead notifications")
	_, scope, w, err := s.mine(ctx)
	if err != nil {
		return Notification{}, err
	}
	w.And(`n.event_id = ?`, clean(eventID, 64))
	list, _, err := feed.Page(ctx, s.DB.Read(), w, "", sqldb.Page{Limit: 1})
	if err != nil {
		return Notification{}, err
	}
	if len(list) == 0 {
		return Notification{}, none
	}
	if yes, err := s.visible(ctx, scope, list[0]); err != nil {
		return Notification{}, err
	} else if !yes {
		return Notification{}, none
	}
	return list[0], nil
}

func (s store) addNotification(ctx context.Context, tx *sqldb.Tx, n Notification) error {
	tx.Notify(FeedTopic(n.userID), "")
	_, err := tx.ExecContext(ctx, `INSERT INTO notifications (user_id, event_id, at, type, subject, team_id, project_id, environment_id, about, place, detail, read_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (user_id, event_id) DO NOTHING`,
		n.userID, n.EventID, n.At.UnixMicro(), n.Type, n.Subject, n.TeamID, n.ProjectID, n.EnvironmentID, n.About, n.Place, n.Detail, microsOrZero(n.ReadAt))
	return err
}

// trim keeps the newest of somebody's feed.
func (s store) trim(ctx context.Context, tx *sqldb.Tx, userID string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM notifications WHERE user_id = $1 AND event_id <= (
		SELECT event_id FROM notifications WHERE user_id = $1 ORDER BY event_id DESC LIMIT 1 OFFSET $2)`, userID, keptPerUser)
	return err
}

func (s store) markRead(ctx context.Context, tx *sqldb.Tx, userID string, events []string) (int64, error) {
	query, args := `UPDATE notifications SET read_at = $2 WHERE user_id = $1 AND read_at = 0`, []any{userID, tx.Now().UnixMicro()}
	if len(events) > 0 {
		query, args = query+` AND `+s.db.InArray("event_id", "$3"), append(args, sqldb.Strings(events))
	}
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
