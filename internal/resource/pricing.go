package resource

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Standing gives a page of the resources that are not destroyed, by id, behind
// one: the facts of the revision that is wanted of each, which holds its share
// of quotas, and of the one that is in use, which costs; the zero Facts where
// none is. It is for Fairlead itself. None is the end.
func (s *Service) Standing(ctx context.Context, after string) (wanted, inUse []gate.Facts, err error) {
	if principal.From(ctx).Kind != principal.Internal {
		if _, err := s.Access.Check(ctx, access.QuotaManage, access.Target{Kind: "quota"}); err != nil {
			return nil, nil, err
		}
	}
	if wanted, err = s.db.living(ctx, sqldb.Where{}, after, wantedRevision); err != nil || len(wanted) == 0 {
		return nil, nil, err
	}
	made, err := s.db.living(ctx, sqldb.Where{}, after, appliedRevision)
	if err != nil {
		return nil, nil, err
	}
	byID := map[string]gate.Facts{}
	templates := map[string]Template{}
	for _, f := range made {
		byID[f.ResourceID] = s.standing(ctx, f, templates)
	}
	inUse = make([]gate.Facts, len(wanted))
	for i, f := range wanted {
		wanted[i], inUse[i] = s.standing(ctx, f, templates), byID[f.ResourceID]
	}
	return wanted, inUse, nil
}

// Which revision of a resource living looks at.
const (
	wantedRevision  = `r.revision`
	appliedRevision = `r.applied_revision` // leaves out what was never made
	madeOrWanted    = `CASE WHEN r.applied_revision > 0 THEN r.applied_revision ELSE r.revision END`
)
