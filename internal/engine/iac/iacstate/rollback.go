package iacstate

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

var versionList = sqldb.List[Version]{
	Select: `SELECT ` + versionColumns + ` FROM iac_state_versions`,
	Scan:   scanVersion,
	Orders: map[string]sqldb.Order[Version]{
		"version": {Columns: []string{"version"}, Key: func(v Version) []any { return []any{v.Version} }},
	},
	Default: "-version",
}

// Versions lists what is kept, the newest first.
func (s *Store) Versions(ctx context.Context, state string, p sqldb.Page) ([]Version, string, error) {
	var w sqldb.Where
	w.And(`state = ?`, state)
	return versionList.Page(ctx, s.db.Read(), w, "", p)
}

// Rollback makes the content of a version the current state, under the next
// serial and the next epoch: whoever had claimed the state is refused from now
// on. It is refused itself (Conflict, "state_locked") while somebody holds the
// lock. When the current state has that content already, nothing is done and
// then is not called; else it is called in the same transaction.
func (s *Store) Rollback(ctx context.Context, state string, version int64, then func(tx *sqldb.Tx, made Meta) error) (Meta, error) {
	old, err := s.ReadVersion(ctx, state, version)
	if err != nil {
		return Meta{}, err
	}
	key, err := s.secrets.Get(ctx, keyOwner(state), keyName)
	if err != nil {
		return Meta{}, err
	}
	var made Meta
	err = s.db.Write(ctx, "iac.rollback", func(tx *sqldb.Tx) error {
		r, err := s.db.lock(ctx, tx, state)
		if err != nil {
			return err
		}
		made = r.meta()
		if r.lockID != "" {
			l := r.holder()
			return fault.New(fault.Conflict, "state_locked", "the state is held by %s for %s, since %s", or(l.Who, "somebody"), or(l.Operation, "its work"), or(l.Created, "an unknown time")).
				WithHint("wait until its run has ended, or cancel that: fairlead cancel")
		}
		if _, _, err := s.db.version(ctx, tx, state, version); errors.Is(err, sql.ErrNoRows) { // newer ones pushed it out
			return noVersion(version)
		} else if err != nil {
			return err
		}
		if same, _, err := under(old, r.Serial); err != nil || version == r.Version || digest(same) == r.Digest {
			return err
		}
		body, h, err := under(old, r.Serial+1)
		if err != nil {
			return err
		}
		packed, err := compress(body)
		if err != nil {
			return err
		}
		m := Meta{Version: r.Version + 1, Serial: h.Serial, Lineage: h.Lineage, Digest: digest(body), Objects: h.objects(), UpdatedAt: tx.Now(), Epoch: r.Epoch + 1}
		sealed, err := seal(key, packed, bind(state, m.Version, m.Serial, m.Lineage))
		if err != nil {
			return err
		}
		if err := s.db.claim(ctx, tx, state, m.Epoch); err != nil {
			return err
		}
		if err := s.db.add(ctx, tx, state, m, "rollback", int64(len(body)), sealed); err != nil {
			return err
		}
		made = m
		return then(tx, m)
	})
	return made, err
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// under gives a state with another serial.
func under(body []byte, serial int64) ([]byte, head, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, head{}, damaged()
	}
	text, err := json.Marshal(serial)
	if err != nil {
		return nil, head{}, err
	}
	all["serial"] = text
	out, err := json.Marshal(all)
	if err != nil {
		return nil, head{}, err
	}
	h, err := readHead(out)
	return out, h, err
}
