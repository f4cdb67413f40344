package access

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

const maxNote = 500

// Verification is what Verify says about a policy text that could be stored.
type Verification struct {
	Policies int
	Digest   string
	Changes  []Change
	Warnings []Warning
}

// Current gives the version in force, with its text. It needs access:view.
func (s *Service) Current(ctx context.Context) (Version, error) {
	return s.ByVersion(ctx, 0)
}

// ByVersion gives one version with its text; 0 is the newest. It needs access:view.
func (s *Service) ByVersion(ctx context.Context, version int64) (Version, error) {
	if _, err := s.Check(ctx, AccessView, policiesTarget(version)); err != nil {
		return Version{}, err
	}
	return s.stored(ctx, version)
}

func (s *Service) stored(ctx context.Context, version int64) (Version, error) {
	if version == 0 {
		return s.store.newest(ctx, s.store.db.Read())
	}
	v, err := s.store.get(ctx, version)
	if noRows(err) {
		return Version{}, fault.New(fault.NotFound, "policy_version_not_found", "there is no version %d of the policies", version).
			WithHint("list them: fairlead access policies versions")
	}
	return v, err
}

// Versions lists the versions, newest first, without their texts. It needs
// access:view. Page.After is the version to go on below.
func (s *Service) Versions(ctx context.Context, p sqldb.Page) (items []Version, next string, err error) {
	if _, err := s.Check(ctx, AccessView, Target{Kind: "access"}); err != nil {
		return nil, "", err
	}
	below := int64(math.MaxInt64)
	if p.After != "" {
		if below, err = strconv.ParseInt(p.After, 10, 64); err != nil {
			return nil, "", fault.New(fault.Invalid, "invalid_cursor", "the cursor is not one of this list").WithField("/cursor")
		}
	}
	items, err = s.store.list(ctx, below, p.Size()+1)
	if err != nil {
		return nil, "", err
	}
	if len(items) > p.Size() {
		items = items[:p.Size()]
		next = strconv.FormatInt(items[len(items)-1].Version, 10)
	}
	return items, next, nil
}

// Diff says which policies differ between two versions. It needs access:view.
func (s *Service) Diff(ctx context.Context, from, to int64) ([]Change, error) {
	if _, err := s.Check(ctx, AccessView, policiesTarget(to)); err != nil {
		return nil, err
	}
	var sets [2]*Set
	for i, n := range [...]int64{from, to} {
		v, err := s.stored(ctx, n)
		if err != nil {
			return nil, err
		}
		if sets[i], err = Parse(v.Source); err != nil {
			return nil, fmt.Errorf("policies version %d: %w", n, err)
		}
	}
	return diff(sets[0], sets[1]), nil
}

// Verify says whether a text could be put in force by the caller, and changes
// nothing. Errors are Put's. It needs access:view.
func (s *Service) Verify(ctx context.Context, source string) (Verification, error) {
	if _, err := s.Check(ctx, AccessView, Target{Kind: "access"}); err != nil {
		return Verification{}, err
	}
	return s.verify(source)
}

func (s *Service) verify(source string) (Verification, error) {
	set, err := parseText(source, s.current.Load())
	if err != nil {
		return Verification{}, err
	}
	if err := set.lockout(); err != nil {
		return Verification{}, err
	}
	return Verification{
		Policies: len(set.rules), Digest: set.digest,
		Changes: diff(s.current.Load(), set), Warnings: set.warnings(),
	}, nil
}

func parseText(source string, base *Set) (*Set, error) {
	if !utf8.ValidString(source) {
		return nil, fault.New(fault.Invalid, "invalid_utf8", "the policies are not UTF-8 text").WithField("/source")
	}
	return ParseChecked(source, base)
}

// PutRequest is a new version of the policies.
type PutRequest struct {
	Source string
	Note   string // why; shown in the list of versions
	// IfVersion is the version that the author started from; 0 is whatever is
	// newest.
	IfVersion int64
}

// Put stores a text as the newest version and puts it in force everywhere.
// Putting an old text back is how to roll back. It needs access:update, and:
//   - "invalid_policy" (Invalid): syntax or types, with line and column;
//   - "policy_lockout" (Conflict): nobody, or no longer the author, could
//     change the policies afterwards;
//   - "policy_escalation" (Denied): the author, or whom they favour, would gain
//     what the author lacks;
//   - "stale_version" (Stale): somebody else was quicker.
//
// Text that is in force already is not stored again.
func (s *Service) Put(ctx context.Context, r PutRequest) (Version, error) {
	decision, err := s.Check(ctx, AccessUpdate, Target{Kind: "access", Name: "policies"})
	if err != nil {
		return Version{}, err
	}
	if len(r.Note) > maxNote || !utf8.ValidString(r.Note) {
		return Version{}, fault.New(fault.Invalid, "invalid_note", "the note is not UTF-8 text of at most %d bytes", maxNote).WithField("/note")
	}
	if err := s.Reload(ctx); err != nil { // judge against what is newest, not what this replica has heard of
		return Version{}, err
	}
	before := s.current.Load()
	if r.IfVersion != 0 && r.IfVersion != before.version {
		return Version{}, staleVersion(before.version)
	}
	after, err := parseText(r.Source, before)
	if err != nil {
		return Version{}, err
	}
	if after.digest == before.digest {
		return s.store.newest(ctx, s.store.db.Read())
	}
	if err := guard(ctx, before, after); err != nil {
		return Version{}, err
	}
	v, err := s.write(ctx, r, before, after, decision)
	if err != nil {
		return Version{}, err
	}
	after.version = v.Version
	s.adopt(after) // it is stored: nothing that happens now may call it failed
	return v, nil
}

func (s *Service) write(ctx context.Context, r PutRequest, before, after *Set, d Decision) (Version, error) {
	changes := diff(before, after)
	var v Version
	err := s.store.db.Write(ctx, "access.put", func(tx *sqldb.Tx) error {
		newest, err := s.store.newestNumber(ctx, tx)
		if err != nil {
			return err
		}
		if newest != before.version {
			return staleVersion(newest)
		}
		v = Version{
			Version: newest + 1, Digest: after.digest, Source: r.Source, Note: r.Note,
			CreatedAt: tx.Now(), CreatedBy: author(ctx).ID,
		}
		if err := s.store.insert(ctx, tx, v); err != nil {
			if sqldb.IsUnique(err) {
				return staleVersion(v.Version)
			}
			return err
		}
		s.audit(ctx, tx, AccessUpdate, policiesTarget(v.Version), d, map[string]any{
			"version": v.Version, "digest": v.Digest, "note": v.Note, "changes": summary(changes),
		})
		tx.Notify(topicPolicies, strconv.FormatInt(v.Version, 10))
		return nil
	})
	return v, err
}

func staleVersion(now int64) *fault.Error {
	return fault.New(fault.Stale, "stale_version", "the policies have changed meanwhile: version %d is in force", now).
		WithHint("look at what changed, put your change on top of it and try again")
}
