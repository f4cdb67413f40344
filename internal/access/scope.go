package access

import (
	"context"

	"fairlead/internal/sqldb"
)

type listCache struct{}

func (c *listCache) init(db *sqldb.DB) {}

// Scope implements Authorizer.
func (s *Service) Scope(ctx context.Context, a Action) (Scope, error) { return Scope{}, nil }
