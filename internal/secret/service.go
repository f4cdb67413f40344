package secret

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/sqldb"
)

// Options is what a Service needs.
type Options struct {
	Rotator    Rotator
	Authorizer access.Authorizer
}

// Service is what operators may do with the store.
type Service struct{ o Options }

// NewService makes a Service.
func NewService(o Options) *Service { return &Service{o} }

var masterKey = access.Target{Kind: "system", Name: "master-key"}

// Rotate changes the master key while everything runs. It needs system:manage.
func (s *Service) Rotate(ctx context.Context) (Rotation, error) {
	d, err := s.o.Authorizer.Check(ctx, access.SystemManage, masterKey)
	if err != nil {
		return Rotation{}, err
	}
	return s.o.Rotator.Rotate(ctx, func(tx *sqldb.Tx, from, to string) {
		audit.Append(ctx, tx, audit.Entry{
			Action: "system:rotate-master-key", Target: masterKey, Decision: d,
			Details: map[string]any{"from": from, "to": to},
		})
	})
}

// Rotation tells how far a change of the master key is. It needs system:view.
func (s *Service) Rotation(ctx context.Context) (Rotation, error) {
	if _, err := s.o.Authorizer.Check(ctx, access.SystemView, masterKey); err != nil {
		return Rotation{}, err
	}
	return s.o.Rotator.Rotation(ctx)
}
