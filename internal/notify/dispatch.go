package notify

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/loop"
	"fairlead/internal/sqldb"
)

// consumer is this feature's place among the events.
const consumer = "notify"

// Dispatch makes deliveries of the events that came since the last time: for
// the enabled webhooks of the event's team and of the organisation, and mail
// for the people whom it concerns, in whose feeds it is, too.
func (s *Service) Dispatch(ctx context.Context) error {
	for {
		n, err := event.Consume(ctx, s.DB, consumer, func(tx *sqldb.Tx, events []event.Event) error {
			rung, chosen := map[string]bool{}, choices{}
			for _, e := range events {
				if err := s.dispatch(ctx, tx, e, chosen); err != nil {
					return err
				}
				users, err := s.ring(ctx, tx, e, chosen)
				if err != nil {
					return err
				}
				for _, id := range users {
					rung[id] = true
				}
			}
			for _, id := range slices.Sorted(maps.Keys(rung)) {
				if err := s.store.trim(ctx, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

type matching struct {
	id    string
	types string
}

// choices are what people want to be told, each read once for many events.
type choices map[string]Choice

func (c choices) of(ctx context.Context, tx *sqldb.Tx, s store, userID string) (Choice, error) {
	found, ok := c[userID]
	if ok {
		return found, nil
	}
	found, err := s.choice(ctx, tx, userID)
	if err == nil {
		c[userID] = found
	}
	return found, err
}

func (s *Service) dispatch(ctx context.Context, tx *sqldb.Tx, e event.Event, chosen choices) error {
	payload, err := s.payload(e)
	if err != nil {
		return err
	}
	found, err := sqldb.Collect(ctx, tx, func(r sqldb.Row) (m matching, err error) { return m, r.Scan(&m.id, &m.types) },
		`SELECT w.id, w.types FROM webhooks w WHERE w.enabled = 1 AND w.enabled_at <= $1
			AND (w.team_id = '' OR w.team_id = $2 AND EXISTS (SELECT 1 FROM teams t WHERE t.id = w.team_id AND t.deleted_at IS NULL))
			ORDER BY w.id`, e.At.UnixMicro(), e.TeamID)
	if err != nil {
		return err
	}
	for _, m := range found {
		var types []string
		if err := json.Unmarshal([]byte(m.types), &types); err != nil {
			return err
		}
		if !matchesAny(types, e.Type) {
			continue
		}
		if err := s.store.add(ctx, tx, Delivery{Target: m.id, EventID: e.ID, EventType: e.Type, Payload: payload}, e.TeamID); err != nil {
			return err
		}
	}
	if s.Mailer == nil {
		return nil
	}
	for _, user := range e.To {
		choice, err := chosen.of(ctx, tx, s.store, user)
		if err != nil {
			return err
		}
		if !choice.mails(e.Type) {
			continue
		}
		if err := s.store.add(ctx, tx, Delivery{Target: Mail, Recipient: user, EventID: e.ID, EventType: e.Type, Payload: payload}, e.TeamID); err != nil {
			return err
		}
	}
	return nil
}

// Loops are the background work besides Run.
func (s *Service) Loops() []loop.Loop {
	return []loop.Loop{
		{Name: "notify-dispatch", Every: s.Poll, Wake: event.Topic, Do: s.Dispatch},
		{Name: "notify-prune", Every: 20 * time.Minute, Once: true, Do: s.Prune},
	}
}

// Prune gives up what has been tried for long enough, and removes events and
// deliveries that are old, and what is old in feeds.
func (s *Service) Prune(ctx context.Context) error {
	err := s.DB.Write(ctx, "notify.expire", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET status = 'failed', updated_at = $1,
			last_error = CASE WHEN last_error = '' THEN 'it could not be sent in time' ELSE last_error END
			WHERE status = 'pending' AND expires_at <= $1 AND lease_until <= $1`, tx.Now().UnixMicro())
		return err
	})
	if err != nil {
		return err
	}
	const batch = 500
	for n := int64(batch); n == batch; {
		err := s.DB.Write(ctx, "notify.prune", func(tx *sqldb.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM deliveries WHERE id IN (
				SELECT id FROM deliveries WHERE created_at < $1 AND status <> 'pending' ORDER BY created_at LIMIT $2)`,
				tx.Now().Add(-s.Keep).UnixMicro(), batch)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
	}
	for n := int64(batch); n == batch; {
		err := s.DB.Write(ctx, "notify.prune-feeds", func(tx *sqldb.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM notifications WHERE (user_id, event_id) IN (
				SELECT user_id, event_id FROM notifications WHERE at < $1 ORDER BY at LIMIT $2)`, tx.Now().Add(-s.Keep).UnixMicro(), batch)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = event.Prune(ctx, s.DB, s.Keep)
	return err
}
