package template

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"fairlead/internal/sqldb"
	"fairlead/internal/template/bundle"
)

// Summary is what a list of versions shows of one.
type Summary struct {
	Name       string
	Version    string
	Digest     string
	Engine     string
	Prerelease bool
	CreatedAt  time.Time
	CreatedBy  string

	Deprecation Deprecation

	sortKey string
	pushed  string // the digest as it was pushed
}

type queries struct{ q sqldb.Querier }

const summaryColumns = `name, version, digest, engine, prerelease, created_at, created_by, sort_key, pushed_digest,
	deprecated_at, deprecated_by, deprecated_reason, end_of_life_at, successor`

func scanSummary(row sqldb.Row) (Summary, error) {
	var s Summary
	var at, pre, deprecated, ends int64
	d := &s.Deprecation
	err := row.Scan(&s.Name, &s.Version, &s.Digest, &s.Engine, &pre, &at, &s.CreatedBy, &s.sortKey, &s.pushed, &deprecated, &d.By, &d.Reason, &ends, &d.Successor)
	d.At, d.EndOfLife = moment(deprecated), moment(ends)
	s.CreatedAt, s.Prerelease = sqldb.Time(at), pre != 0
	return s, err
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return sqldb.Time(us)
}

// best orders a template's versions by what is chosen when nobody says which:
// releases before pre-releases, what is not deprecated before what is, what has
// no end before what has one, and the newest.
const best = `prerelease, CASE WHEN deprecated_at > 0 THEN 1 ELSE 0 END, CASE WHEN end_of_life_at > 0 THEN 1 ELSE 0 END, sort_key DESC`

// find gives one version; sql.ErrNoRows when there is none.
func (d queries) find(ctx context.Context, name, version string) (Summary, error) {
	return scanSummary(d.q.QueryRowContext(ctx, `SELECT `+summaryColumns+` FROM template_versions WHERE name = $1 AND version = $2`, name, version))
}

// has tells whether a version of this very content is stored.
func (d queries) has(ctx context.Context, name, digest string) (bool, error) {
	var n int
	err := d.q.QueryRowContext(ctx, `SELECT count(*) FROM template_versions WHERE name = $1 AND (digest = $2 OR pushed_digest = $2)`, name, digest).Scan(&n)
	return n > 0, err
}

// latest gives the newest version that is no pre-release and not deprecated, as
// far as there is one.
func (d queries) latest(ctx context.Context, name string) (Summary, error) {
	return scanSummary(d.q.QueryRowContext(ctx, `SELECT `+summaryColumns+` FROM template_versions
		WHERE name = $1 ORDER BY `+best+` LIMIT 1`, name))
}

// latest of each template, with what filters look at.
var templates = sqldb.List[Summary]{
	Select: `SELECT ` + summaryColumns + ` FROM (
		SELECT ` + summaryColumns + `, search, tags, row_number() OVER (PARTITION BY name ORDER BY ` + best + `) AS place
		FROM template_versions) AS t`,
	Scan: scanSummary,
	Orders: map[string]sqldb.Order[Summary]{
		"name":    {Columns: []string{"name"}, Key: func(s Summary) []any { return []any{s.Name} }},
		"created": {Columns: []string{"created_at", "name"}, Key: func(s Summary) []any { return []any{s.CreatedAt.UnixMicro(), s.Name} }},
	},
	Default: "name",
}

// versions of one template.
var versions = sqldb.List[Summary]{
	Select:  `SELECT ` + summaryColumns + ` FROM template_versions`,
	Scan:    scanSummary,
	Orders:  map[string]sqldb.Order[Summary]{"version": {Columns: []string{"sort_key"}, Key: func(s Summary) []any { return []any{s.sortKey} }}},
	Default: "-version",
}

// where is the filter in SQL, for templates.
func (f Filter) where() (w sqldb.Where) {
	w.And(`place = 1`)
	if f.Engine != "" {
		w.And(`engine = ?`, f.Engine)
	}
	if f.Search != "" {
		w.And(`search LIKE ? ESCAPE '\'`, sqldb.Contains(f.Search))
	}
	if f.Tag != "" {
		w.And(`tags LIKE ? ESCAPE '\'`, sqldb.Contains(`"`+f.Tag+`"`))
	}
	return w
}

func (d queries) archive(ctx context.Context, name, version string) ([]byte, error) {
	var raw []byte
	err := d.q.QueryRowContext(ctx, `SELECT archive FROM template_versions WHERE name = $1 AND version = $2`, name, version).Scan(&raw)
	return raw, err
}

func (d queries) insert(ctx context.Context, v *Version, key string, prerelease bool) error {
	tags, err := json.Marshal(append([]string{}, v.Tags...))
	if err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	pre := 0
	if prerelease {
		pre = 1
	}
	search := strings.ToLower(strings.Join([]string{v.Name, v.Title, v.Description}, "\n"))
	_, err = d.q.ExecContext(ctx, `INSERT INTO template_versions
		(name, version, sort_key, digest, prerelease, engine, search, tags, manifest, archive, created_at, created_by, pushed_digest)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		v.Name, v.Version, key, v.Digest, pre, v.Engine, search, string(tags), string(v.manifest), v.Archive(), v.CreatedAt.UnixMicro(), v.CreatedBy, cmp.Or(v.pushed, v.Digest))
	return err
}

// load makes the Version of a row, from the cache when it was made before. A
// row whose archive no longer has its digest is refused: it was damaged.
func (s *Service) load(ctx context.Context, row Summary) (*Version, error) {
	v, err := s.loadContent(ctx, row)
	if err != nil || !row.Deprecation.Deprecated() {
		return v, err
	}
	told := *v // what became of it is not part of it
	told.Deprecation = row.Deprecation
	return &told, nil
}

func (s *Service) loadContent(ctx context.Context, row Summary) (*Version, error) {
	if v, ok := s.cache.get(row.Digest); ok {
		return v, nil
	}
	raw, err := queries{s.db.Read()}.archive(ctx, row.Name, row.Version)
	if err != nil {
		return nil, fmt.Errorf("read template %s %s: %w", row.Name, row.Version, err)
	}
	b, err := bundle.Read(bytes.NewReader(raw))
	if err != nil {
		return nil, damaged(row, err)
	}
	v, err := parse(b)
	if err != nil {
		return nil, damaged(row, err)
	}
	if v.Digest != row.Digest {
		return nil, damaged(row, errors.New("the digest differs"))
	}
	v.CreatedAt, v.CreatedBy = row.CreatedAt, row.CreatedBy
	s.cache.put(v, len(raw))
	return v, nil
}

func none(err error) bool { return errors.Is(err, sql.ErrNoRows) }
