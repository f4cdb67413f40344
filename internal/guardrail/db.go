package guardrail

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"fairlead/internal/sqldb"
)

// Summary is what a list shows of a version.
type Summary struct {
	ID          string
	Name        string
	Version     string
	Digest      string
	Title       string
	Description string
	Conftest    bool
	Guardrails  int
	Tests       TestReport // how they went at the push
	CreatedAt   time.Time
	CreatedBy   string // id
	CreatorName string
	Active      string // the version of this name that is in force; "" for none

	signature string
}

// Change is one line of the history of what is in force.
type Change struct {
	ID       string
	At       time.Time
	Action   string // activate, deactivate, rollback
	Name     string
	Version  string // in force from then on; "" for none
	Previous string // in force until then; "" for none
	Policy   string // digest of all that is in force from then on
	ByID     string
	ByName   string
}

type queries struct{ q sqldb.Querier }

const summaryColumns = `b.id, b.name, b.version, b.digest, b.title, b.description, b.conftest, b.guardrails, b.tests, b.signature,
	b.created_at, b.created_by, b.creator_name`

func scanSummary(row sqldb.Row) (Summary, error) {
	var s Summary
	var at, conftest int64
	var tests string
	err := row.Scan(&s.ID, &s.Name, &s.Version, &s.Digest, &s.Title, &s.Description, &conftest, &s.Guardrails, &tests, &s.signature,
		&at, &s.CreatedBy, &s.CreatorName)
	if err != nil {
		return s, err
	}
	s.CreatedAt, s.Conftest = sqldb.Time(at), conftest != 0
	if err := json.Unmarshal([]byte(tests), &s.Tests); err != nil {
		return s, fmt.Errorf("guardrails %s %s: %w", s.Name, s.Version, err)
	}
	return s, nil
}

var (
	byName = map[string]sqldb.Order[Summary]{
		"name":    {Columns: []string{"b.name"}, Key: func(s Summary) []any { return []any{s.Name} }},
		"created": {Columns: []string{"b.id"}, Key: func(s Summary) []any { return []any{s.ID} }},
	}
	// latest of each name, by when it was pushed.
	latest = sqldb.List[Summary]{
		Select: `SELECT ` + summaryColumns + ` FROM guardrail_bundles b JOIN (SELECT name, max(id) AS id FROM guardrail_bundles GROUP BY name) l ON l.id = b.id`,
		Scan:   scanSummary, Orders: byName, Default: "name",
	}
	versions = sqldb.List[Summary]{Select: `SELECT ` + summaryColumns + ` FROM guardrail_bundles b`, Scan: scanSummary, Orders: byName, Default: "-created"}

	history = sqldb.List[Change]{
		Select: `SELECT h.id, h.at, h.action, h.name, h.version, h.previous, h.policy, h.by_id, h.by_name FROM guardrail_history h`,
		Scan: func(row sqldb.Row) (c Change, err error) {
			var at int64
			err = row.Scan(&c.ID, &at, &c.Action, &c.Name, &c.Version, &c.Previous, &c.Policy, &c.ByID, &c.ByName)
			c.At = sqldb.Time(at)
			return c, err
		},
		Orders:  map[string]sqldb.Order[Change]{"created": {Columns: []string{"h.id"}, Key: func(c Change) []any { return []any{c.ID} }}},
		Default: "-created",
	}
)

// find gives a version, or the newest for ""; sql.ErrNoRows when there is none.
func (d queries) find(ctx context.Context, name, version string) (Summary, error) {
	if version != "" {
		return scanSummary(d.q.QueryRowContext(ctx, `SELECT `+summaryColumns+` FROM guardrail_bundles b WHERE b.name = $1 AND b.version = $2`, name, version))
	}
	return scanSummary(d.q.QueryRowContext(ctx, `SELECT `+summaryColumns+` FROM guardrail_bundles b WHERE b.name = $1 ORDER BY b.id DESC LIMIT 1`, name))
}

func (d queries) archive(ctx context.Context, id string) (raw []byte, err error) {
	err = d.q.QueryRowContext(ctx, `SELECT archive FROM guardrail_bundles WHERE id = $1`, id).Scan(&raw)
	return raw, err
}

func (d queries) insert(ctx context.Context, s Summary, archive []byte) error {
	tests, err := json.Marshal(s.Tests)
	if err != nil {
		return err
	}
	conftest := 0
	if s.Conftest {
		conftest = 1
	}
	_, err = d.q.ExecContext(ctx, `INSERT INTO guardrail_bundles (id, name, version, digest, title, description, conftest, guardrails, tests, archive, signature, created_at, created_by, creator_name)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		s.ID, s.Name, s.Version, s.Digest, s.Title, s.Description, conftest, s.Guardrails, string(tests), archive, s.signature, s.CreatedAt.UnixMicro(), s.CreatedBy, s.CreatorName)
	return err
}

func (d queries) mend(ctx context.Context, s Summary, archive []byte) error {
	_, err := d.q.ExecContext(ctx, `UPDATE guardrail_bundles SET archive = $1 WHERE id = $2`, archive, s.ID)
	return err
}

// state is what is in force, as it is stored.
type state struct {
	version   int64
	list      string
	signature string
}

func (st state) versions() (list []version, err error) {
	err = json.Unmarshal([]byte(st.list), &list)
	return list, err
}

func (d queries) version(ctx context.Context) (v int64, err error) {
	err = d.q.QueryRowContext(ctx, `SELECT version FROM guardrail_state WHERE id = 1`).Scan(&v)
	return v, err
}

// state reads what is in force; lock is what keeps other changes out until
// the transaction ends.
func (d queries) state(ctx context.Context, lock string) (st state, err error) {
	err = d.q.QueryRowContext(ctx, `SELECT version, list, signature FROM guardrail_state WHERE id = 1`+lock).Scan(&st.version, &st.list, &st.signature)
	return st, err
}

func (d queries) setState(ctx context.Context, st state) error {
	_, err := d.q.ExecContext(ctx, `UPDATE guardrail_state SET version = $1, list = $2, signature = $3 WHERE id = 1`, st.version, st.list, st.signature)
	return err
}

func (d queries) note(ctx context.Context, c Change) error {
	_, err := d.q.ExecContext(ctx, `INSERT INTO guardrail_history (id, at, action, name, version, previous, policy, by_id, by_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		c.ID, c.At.UnixMicro(), c.Action, c.Name, c.Version, c.Previous, c.Policy, c.ByID, c.ByName)
	return err
}

// before gives the version of name that was in force before the one that is
// now; sql.ErrNoRows when there was none.
func (d queries) before(ctx context.Context, name string) (version string, err error) {
	err = d.q.QueryRowContext(ctx, `SELECT previous FROM guardrail_history WHERE name = $1 ORDER BY id DESC LIMIT 1`, name).Scan(&version)
	return version, err
}
