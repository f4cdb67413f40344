package notify

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// DeliveryFilter narrows a list of deliveries.
type DeliveryFilter struct {
	Status Status
	Type   string // of the event
	To     string // of mail: a user's name or id
	Sort   string // created, - before it for the newest first, which is the default
}

// Deliveries lists what a webhook was and is to be told.
func (s *Service) Deliveries(ctx context.Context, id string, f DeliveryFilter, page sqldb.Page) ([]Delivery, string, error) {
	if _, _, err := s.find(ctx, id); err != nil {
		return nil, "", err
	}
	return s.list(ctx, id, f, page)
}

// Mails lists what went by e-mail. It needs webhook:manage in the organisation.
func (s *Service) Mails(ctx context.Context, f DeliveryFilter, page sqldb.Page) ([]Delivery, string, error) {
	if _, err := s.Access.Check(ctx, access.WebhookManage, access.Target{Kind: "webhook"}); err != nil {
		return nil, "", err
	}
	return s.list(ctx, Mail, f, page)
}

// statuses are conditions in the words of the partial indexes.
var statuses = map[Status]string{
	Pending: `d.status = 'pending'`, Delivered: `d.status = 'delivered'`, Failed: `d.status = 'failed'`, Skipped: `d.status = 'skipped'`,
}

func (s *Service) list(ctx context.Context, target string, f DeliveryFilter, page sqldb.Page) ([]Delivery, string, error) {
	var w sqldb.Where
	if f.To == "" {
		w.And(`d.target = ?`, target)
	} else { // by the index of recipients, not by that of targets
		to, err := s.store.user(ctx, clean(f.To, 64))
		if err != nil {
			return nil, "", err
		}
		w.And(`d.recipient = ? AND d.recipient <> '' AND d.target || '' = ?`, to, target)
	}
	if f.Status != "" {
		is := statuses[f.Status]
		if is == "" { // as no delivery stands
			is = `1 = 0`
		}
		w.And(is)
	}
	if f.Type != "" {
		w.And(`d.event_type = ?`, clean(f.Type, maxPattern))
	}
	return deliveries.Page(ctx, s.DB.Read(), w, f.Sort, page)
}

// owned gives a delivery that the caller may manage, and what it belongs to.
func (s *Service) owned(ctx context.Context, id string) (Delivery, access.Target, access.Decision, error) {
	none := fault.New(fault.NotFound, "delivery_not_found", "no such delivery").WithHint("they are listed by fairlead webhook deliveries, and kept for a while")
	target := access.Target{Kind: "webhook"}
	if principal.From(ctx).Kind == principal.Anonymous {
		d, err := s.Access.Check(ctx, access.WebhookManage, target)
		return Delivery{}, target, d, err
	}
	if !ident.IsRef(id) {
		return Delivery{}, target, access.Decision{}, none
	}
	v, err := s.store.delivery(ctx, s.DB.Read(), id)
	if missing(err) {
		return Delivery{}, target, access.Decision{}, none
	}
	if err != nil {
		return Delivery{}, target, access.Decision{}, err
	}
	var d access.Decision
	if v.Target == Mail {
		d, err = s.Access.Check(ctx, access.WebhookManage, target)
	} else {
		var w Webhook
		w, d, err = s.find(ctx, v.Target)
		target = w.Target()
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return Delivery{}, target, d, none
	}
	return v, target, d, err
}

// Delivery gives one delivery; a mail with what it says.
func (s *Service) Delivery(ctx context.Context, id string) (Delivery, error) {
	v, _, _, err := s.owned(ctx, id)
	if err == nil && v.Target == Mail {
		if m, err := s.message(v); err == nil { // otherwise its error says so
			v.Subject, v.Text = m.Subject, m.Text
		}
	}
	return v, err
}

// Redeliver sends a delivery once more, now, under the id that it had.
func (s *Service) Redeliver(ctx context.Context, id string) (Delivery, error) {
	_, target, d, err := s.owned(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	var out Delivery
	err = s.DB.Write(ctx, "notify.redeliver", func(tx *sqldb.Tx) error {
		v, err := s.store.delivery(ctx, tx, id)
		if err != nil {
			return err
		}
		if v.Target != Mail {
			w, err := s.locked(ctx, tx, v.Target, 0)
			if err != nil {
				return err
			}
			if !w.Enabled {
				return disabled()
			}
		}
		now := tx.Now()
		// An attempt under way keeps its claim; what it finds out is written.
		_, err = tx.ExecContext(ctx, `UPDATE deliveries SET status = 'pending', next_at = $2, expires_at = $3, updated_at = $2 WHERE id = $1`,
			id, now.UnixMicro(), now.Add(giveUp).UnixMicro())
		if err != nil {
			return err
		}
		// Who asks for it knows that the receiver is up again.
		if _, err := tx.ExecContext(ctx, `UPDATE notify_targets SET resume_at = 0 WHERE id = $1`, v.Target); err != nil {
			return err
		}
		tx.Notify(wake, "")
		audit.Append(ctx, tx, audit.Entry{Action: "webhook:redeliver", Target: target, Decision: d, Details: map[string]any{"delivery": id, "event": v.EventID}})
		out, err = s.store.delivery(ctx, tx, id)
		return err
	})
	return out, err
}

// EventFilter narrows a list of events.
type EventFilter struct {
	Type    string // or a pattern, as approval.*
	Subject string // id of what they are about
	After   int64  // those with a larger position only
	Sort    string // position; - before it for the newest first, which is the default
}

// Events lists what happened where the caller may see resources; what is no
// team's, only who sees everything.
func (s *Service) Events(ctx context.Context, f EventFilter, page sqldb.Page) ([]event.Event, string, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		_, err := s.Access.Check(ctx, access.ResourceView, access.Target{Kind: "resource"})
		return nil, "", err
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	w := event.Where(f.After)
	scope.Narrow(&w, s.DB, access.Columns{Team: "e.team_id", Project: "e.project_id", Environment: "e.environment_id"})
	if f.Type != "" {
		types := []string{}
		for _, t := range event.Catalogue() {
			if matches(f.Type, t.Name) {
				types = append(types, t.Name)
			}
		}
		if len(types) == 0 {
			types = append(types, clean(f.Type, maxPattern))
		}
		w.And(s.DB.InArray("e.type", "?"), sqldb.Strings(types))
	}
	if f.Subject != "" {
		w.And(`e.subject = ?`, clean(f.Subject, 64))
	}
	return event.List.Page(ctx, s.DB.Read(), w, f.Sort, page)
}
