package guardrail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/template/bundle"
)

// SeedShipped pushes each folder at the top of tree, as Fairlead itself; it
// puts nothing in force. It does nothing for what is there already. A shipped
// version whose content differs from the stored one is left as it is: stored
// versions never change.
func (s *Service) SeedShipped(ctx context.Context, tree fs.FS) error {
	ctx = principal.With(ctx, principal.System)
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return fmt.Errorf("shipped guardrails: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := s.seed(ctx, tree, e.Name()); err != nil {
			return fmt.Errorf("shipped guardrails %s: %w", e.Name(), err)
		}
	}
	return nil
}

func (s *Service) seed(ctx context.Context, tree fs.FS, name string) error {
	sub, err := fs.Sub(tree, name)
	if err != nil {
		return err
	}
	files, err := bundle.FromFS(sub)
	if err != nil {
		return err
	}
	// What is stored already was found to be sound then: it is not compiled
	// at each start.
	stored, err := queries{s.db.Read()}.has(ctx, name, files.Digest())
	if err != nil || stored {
		return err
	}
	_, err = s.Push(ctx, bytes.NewReader(files.Archive()), "", "")
	if errors.Is(err, fault.New(fault.Conflict, "version_exists", "")) {
		s.log.WarnContext(ctx, "shipped guardrails differ from the stored version of the same number; the stored ones stay", "bundle", name)
		return nil
	}
	return err
}

// has tells whether a version of this name has this content.
func (d queries) has(ctx context.Context, name, digest string) (bool, error) {
	var n int64
	err := d.q.QueryRowContext(ctx, `SELECT count(*) FROM guardrail_bundles WHERE name = $1 AND digest = $2`, name, digest).Scan(&n)
	return n > 0, err
}
