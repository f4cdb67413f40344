package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// store is the log's SQL.
type store struct{ db *sqldb.DB }

// head is where the chain ends.
type head struct {
	seq  int64
	hash string
}

const selectHead = `SELECT seq, hash FROM audit_head WHERE id = 1`

// lockHead reads the chain's end, and when it was written, and keeps other
// replicas from appending until this transaction ends. It is the last lock that
// a group takes, so it is held briefly and deadlocks with nothing.
func (s store) lockHead(ctx context.Context, tx *sqldb.Tx) (h head, at time.Time, err error) {
	read := func() error {
		var us int64
		err := tx.QueryRowContext(ctx, `SELECT seq, hash, at FROM audit_head WHERE id = 1`+s.db.ForUpdate()).Scan(&h.seq, &h.hash, &us)
		at = time.UnixMicro(us).UTC()
		return err
	}
	if err = read(); !errors.Is(err, sql.ErrNoRows) {
		return h, at, err
	}
	if _, err = tx.ExecContext(ctx, `INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, $1) ON CONFLICT (id) DO NOTHING`, genesis); err != nil {
		return h, at, err
	}
	err = read()
	return h, at, err
}

func (s store) head(ctx context.Context) (head, error) { return readHead(ctx, s.db.Read()) }

func readHead(ctx context.Context, q sqldb.Querier) (head, error) {
	h := head{hash: genesis}
	err := q.QueryRowContext(ctx, selectHead).Scan(&h.seq, &h.hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return h, err
}

// writtenAfter tells when the record after seq was written; zero when there is
// none.
func (s store) writtenAfter(ctx context.Context, seq int64) (time.Time, error) {
	var at int64
	err := s.db.Read().QueryRowContext(ctx, `SELECT at FROM audit_log WHERE seq = $1`, seq+1).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return sqldb.Time(at), err
}

const columns = `seq, at, actor_id, actor_kind, actor_name, credential, action, target_kind, target_id, target_name,
	team_id, project_id, environment_id, address, request_id, decision, policies, policy_version, details, prev_hash, hash`

var rows = sqldb.NewRows("audit_log", "seq bigint", "at bigint", "actor_id text", "actor_kind text", "actor_name text", "credential text", "action text",
	"target_kind text", "target_id text", "target_name text", "team_id text", "project_id text", "environment_id text", "address text", "request_id text",
	"decision text", "policies text", "policy_version bigint", "details text", "prev_hash text", "hash text")

func (r *Record) values() []any {
	return []any{r.Seq, r.At.UnixMicro(), r.ActorID, r.ActorKind, r.ActorName, r.Credential, r.Action,
		r.TargetKind, r.TargetID, r.TargetName, r.TeamID, r.ProjectID, r.EnvironmentID, r.Address, r.RequestID,
		r.Decision, string(r.Policies), r.PolicyVersion, string(r.Details), r.PrevHash, r.Hash}
}

const moveHead = `UPDATE audit_head SET seq = $1, hash = $2, at = $3 WHERE id = 1`

// add appends sealed records and moves the head to the last.
func (s store) add(ctx context.Context, tx *sqldb.Tx, records []Record) error {
	for i := range records {
		if err := tx.Add(ctx, rows, nil, records[i].values()...); err != nil {
			return err
		}
	}
	last := records[len(records)-1]
	return tx.Later(ctx, moveHead, last.Seq, last.Hash, last.At.UnixMicro())
}

func scanRecord(row sqldb.Row) (Record, error) {
	var r Record
	var at int64
	var policies, details string
	err := row.Scan(&r.Seq, &at, &r.ActorID, &r.ActorKind, &r.ActorName, &r.Credential, &r.Action, &r.TargetKind,
		&r.TargetID, &r.TargetName, &r.TeamID, &r.ProjectID, &r.EnvironmentID, &r.Address, &r.RequestID, &r.Decision,
		&policies, &r.PolicyVersion, &details, &r.PrevHash, &r.Hash)
	r.At = sqldb.Time(at)
	r.Policies, r.Details = json.RawMessage(policies), json.RawMessage(details)
	return r, err
}

// between gives up to limit records with from < seq <= to, in order.
func (s store) between(ctx context.Context, from, to int64, limit int) ([]Record, error) {
	return recordsBetween(ctx, s.db.Read(), from, to, limit)
}

func recordsBetween(ctx context.Context, q sqldb.Querier, from, to int64, limit int) ([]Record, error) {
	return sqldb.Collect(ctx, q, scanRecord,
		`SELECT `+columns+` FROM audit_log WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`, from, to, limit)
}

var records = sqldb.List[Record]{
	Select: `SELECT ` + columns + ` FROM audit_log`, Scan: scanRecord, Default: "-created",
	Orders: map[string]sqldb.Order[Record]{"created": {Columns: []string{"seq"}, Key: func(r Record) []any { return []any{r.Seq} }}},
}

var checkpoints = sqldb.List[Checkpoint]{
	Select: `SELECT seq, hash, at, key_id, signature FROM audit_checkpoints`, Scan: scanCheckpoint, Default: "-created",
	Orders: map[string]sqldb.Order[Checkpoint]{"created": {Columns: []string{"seq"}, Key: func(c Checkpoint) []any { return []any{c.Seq} }}},
}

// search gives a page of what f and scope let through.
func (s store) search(ctx context.Context, f Filter, scope access.Scope, p sqldb.Page) ([]Record, string, error) {
	var w sqldb.Where
	who(&w, "actor_id", "actor_name", f.Actor)
	who(&w, "target_id", "target_name", f.Target)
	if f.Action != "" {
		w.And("substr(action, 1, ?) = ?", int64(len([]rune(f.Action))), f.Action)
	}
	if f.TargetKind != "" {
		w.And("target_kind = ?", f.TargetKind)
	}
	if f.Team != "" {
		w.And("team_id IN (SELECT id FROM teams WHERE id = ? OR name = ?)", f.Team)
	}
	if f.Project != "" {
		w.And("project_id IN (SELECT id FROM projects WHERE id = ? OR name = ?)", f.Project)
	}
	if f.Environment != "" {
		w.And("environment_id IN (SELECT id FROM environments WHERE id = ? OR name = ?)", f.Environment)
	}
	if !f.Since.IsZero() {
		w.And("at >= ?", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		w.And("at < ?", f.Until.UnixMicro())
	}
	scope.Narrow(&w, s.db, access.Columns{Team: "team_id", Project: "project_id", Environment: "environment_id"})
	return records.Page(ctx, s.db.Read(), w, f.Sort, p)
}

// who matches an id, which has an underscore, or a name, which has none. The
// ids of Fairlead itself and of nobody have none either.
func who(w *sqldb.Where, id, name, value string) {
	switch {
	case value == "":
	case strings.Contains(value, "_"):
		w.And(id+" = ?", value)
	default:
		w.And("("+name+" = ? OR "+id+" = ?)", value)
	}
}

func (s store) addKey(ctx context.Context, tx *sqldb.Tx, k Key) (added bool, err error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO audit_keys (key_id, public_key, created_at) VALUES ($1, $2, $3) ON CONFLICT (key_id) DO NOTHING`,
		k.ID, k.encoded(), tx.Now().UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func (s store) keys(ctx context.Context) ([]Key, error) { return readKeys(ctx, s.db.Read()) }

func readKeys(ctx context.Context, q sqldb.Querier) ([]Key, error) {
	return sqldb.Collect(ctx, q, func(row sqldb.Row) (Key, error) {
		var id, public string
		if err := row.Scan(&id, &public); err != nil {
			return Key{}, err
		}
		k, err := ParseKey(public)
		if err != nil { // tampered with: it is shown as it is and verifies nothing
			k = Key{}
		}
		k.ID = id
		return k, nil
	}, `SELECT key_id, public_key FROM audit_keys ORDER BY created_at, key_id`)
}

func (s store) addCheckpoint(ctx context.Context, tx *sqldb.Tx, c Checkpoint) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO audit_checkpoints (seq, hash, at, key_id, signature) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (seq) DO NOTHING`,
		c.Seq, c.Hash, c.At.UnixMicro(), c.KeyID, c.Signature)
	return err
}

func scanCheckpoint(row sqldb.Row) (Checkpoint, error) {
	var c Checkpoint
	var at int64
	err := row.Scan(&c.Seq, &c.Hash, &at, &c.KeyID, &c.Signature)
	c.At = sqldb.Time(at)
	return c, err
}

// checkpoints gives up to limit of them after a seq, in order.
func (s store) checkpoints(ctx context.Context, after int64, limit int) ([]Checkpoint, error) {
	return readCheckpoints(ctx, s.db.Read(), after, limit)
}

func readCheckpoints(ctx context.Context, q sqldb.Querier, after int64, limit int) ([]Checkpoint, error) {
	return sqldb.Collect(ctx, q, scanCheckpoint,
		`SELECT seq, hash, at, key_id, signature FROM audit_checkpoints WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
}
