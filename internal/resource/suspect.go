package resource

import (
	"context"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// Suspect is an external object that no record explains. Nothing is removed by
// itself; a person looks.
type Suspect struct {
	ID         string
	Engine     string
	Kind       string
	Name       string
	Host       string
	ResourceID string // what its marker names
	Reason     string
	FoundAt    time.Time
}

// Suspects gives the external objects that wait for a person, oldest first.
func (s *Service) Suspects(ctx context.Context, p sqldb.Page) ([]Suspect, string, error) {
	if _, err := s.Access.Check(ctx, access.SystemView, access.Target{Kind: "system"}); err != nil {
		return nil, "", err
	}
	list, err := sqldb.Collect(ctx, s.DB.Read(), func(r sqldb.Row) (v Suspect, err error) {
		var at int64
		err = r.Scan(&v.ID, &v.Engine, &v.Kind, &v.Name, &v.Host, &v.ResourceID, &v.Reason, &at)
		v.FoundAt = time.UnixMicro(at).UTC()
		return v, err
	}, `SELECT id, engine, kind, name, host, resource_id, reason, found_at FROM suspects
		WHERE resolved_at IS NULL AND id > $1 ORDER BY id LIMIT $2`, p.After, p.Size()+1)
	if err != nil || len(list) <= p.Size() {
		return list, "", err
	}
	list = list[:p.Size()]
	return list, list[len(list)-1].ID, nil
}
