package resource

import (
	"context"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Destroy asks for the end of a resource. It is accepted when nothing that
// stays refers to it; it is over when the resource's phase is Destroyed, which
// is only said after nothing was seen any more. Asking again is success.
func (s *Service) Destroy(ctx context.Context, w Where, ifMatch int64) (Resource, error) {
	return s.destroy(ctx, w, ifMatch, ending{})
}

// End is Destroy with a last snapshot where the engine can keep one, whatever
// the template says: it is for what ends by itself, such as a lease.
func (s *Service) End(ctx context.Context, w Where) (Resource, error) {
	return s.destroy(ctx, w, 0, ending{snapshot: true})
}

// ending says how a resource ends.
type ending struct {
	snapshot bool // with a last snapshot, where the engine can
	letGo    bool // with all that it made left as it is
}

func (s *Service) destroy(ctx context.Context, w Where, ifMatch int64, how ending) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceDestroy)
	if err != nil {
		return Resource{}, err
	}
	if !l.DestroyWantedAt.IsZero() {
		if l.lettingGo {
			return Resource{}, beingDestroyed(l.Resource)
		}
		return l.Resource, nil
	}
	return s.end(ctx, l, ifMatch, how)
}

func (s *Service) end(ctx context.Context, l located, ifMatch int64, how ending) (Resource, error) {
	j, err := s.gateEnd(ctx, l)
	if err != nil {
		return Resource{}, err
	}
	var r Resource
	err = s.DB.Write(ctx, "resource.destroy", func(tx *sqldb.Tx) error {
		// References appear and go under this lock, so none can be missed.
		if err := s.db.lockEnvironment(ctx, tx, l.EnvironmentID); err != nil {
			return err
		}
		var err error
		if r, err = s.db.lock(ctx, tx, l.ID); err != nil {
			return err
		}
		if !r.DestroyWantedAt.IsZero() {
			if r.lettingGo != how.letGo {
				return beingDestroyed(r)
			}
			return nil
		}
		if err := checkMatch(r, ifMatch); err != nil {
			return err
		}
		users, err := s.db.referrers(ctx, tx, r.ID, true)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fault.New(fault.Conflict, "in_use", "%s is used by %s", r.Name, strings.Join(users, ", ")).
				WithHint("destroy them first, or change them so that they no longer refer to it")
		}
		if how.letGo {
			r.lettingGo = true
			if err := tx.Later(ctx, `UPDATE resources SET letting_go = 1 WHERE id = $1`, r.ID); err != nil {
				return err
			}
		}
		if how.snapshot {
			if err := tx.Later(ctx, `UPDATE resources SET snapshot_wanted = 1 WHERE id = $1`, r.ID); err != nil {
				return err
			}
		}
		r.DestroyWantedAt, r.wantedVersion = tx.Now(), r.Version+1
		if r, err = s.startRun(ctx, tx, r, RunDestroy); err != nil {
			return err
		}
		r.Verdicts = j.Verdicts
		decision := ""
		if j.Facts.Action != "" {
			if decision, err = s.Gates.Admit(ctx, tx, j, r.ID, r.RunID); err != nil {
				return err
			}
		}
		action := access.ResourceDestroy
		if how.letGo {
			action = access.ResourceRelease
		}
		audit.Append(ctx, tx, audit.Entry{
			Action: string(action), Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
			Details: map[string]any{"revision": r.Revision, "objects": r.Objects, "run": r.RunID, "gates": decision},
		})
		if how.letGo {
			return s.tell(ctx, tx, "resource.release_requested", r, map[string]any{"objects": r.Objects, "run": r.RunID})
		}
		return nil
	})
	return r, err
}
