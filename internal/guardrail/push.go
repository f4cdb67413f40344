package guardrail

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/rego"
	"fairlead/internal/sqldb"
)

// TestReport is how a bundle's own tests went.
type TestReport struct {
	Cases   []TestCase `json:"cases"`
	Trouble string     `json:"trouble,omitempty"` // why not all of them could be run
}

// TestCase is one test rule.
type TestCase struct {
	Package  string        `json:"package"`
	Name     string        `json:"name"`
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Passed   bool          `json:"passed"`
	Skipped  bool          `json:"skipped,omitempty"`
	Failure  string        `json:"failure,omitempty"`
	Output   string        `json:"output,omitempty"`
	Duration time.Duration `json:"duration"`
}

// maxKept bounds how many cases a report keeps.
const maxKept = 500

// Failed counts the tests that did not pass; a skipped one did not fail.
func (r TestReport) Failed() int {
	n := 0
	for _, c := range r.Cases {
		if !c.Passed && !c.Skipped {
			n++
		}
	}
	return n
}

// Passed tells whether nothing failed.
func (r TestReport) Passed() bool { return r.Failed() == 0 && r.Trouble == "" }

// RunTests runs the test rules of the bundle.
func (b *Bundle) RunTests(ctx context.Context) TestReport {
	results, err := b.program.Test(ctx, rego.Limits{})
	report := TestReport{Cases: []TestCase{}}
	if err != nil {
		report.Trouble = short(err.Error(), maxDetail)
		return report
	}
	for i, r := range results {
		if i == maxKept {
			report.Trouble = fmt.Sprintf("there are %d tests; %d are allowed", len(results), maxKept)
			break
		}
		report.Cases = append(report.Cases, TestCase{Package: r.Package, Name: short(r.Name, maxDetail), File: r.File, Line: r.Line, Passed: r.Passed,
			Skipped: r.Skipped, Failure: r.Failure, Output: r.Output, Duration: r.Duration})
	}
	return report
}

// ready says why a bundle may not be put in force by its tests.
func (b *Bundle) ready(r TestReport) error {
	switch {
	case !r.Passed() && r.Trouble != "":
		return fault.New(fault.Conflict, "guardrail_tests_failed", "the tests of %s could not be run: %s", b.Label(), r.Trouble).
			WithHint("see them with: fairlead policy test DIR")
	case !r.Passed():
		return fault.New(fault.Conflict, "guardrail_tests_failed", "%d of the %d tests of %s fail", r.Failed(), len(r.Cases), b.Label()).
			WithHint("see them with: fairlead policy test DIR, mend them, and push a new version")
	case b.Tests == 0 && !b.Conftest:
		return fault.New(fault.Conflict, "guardrail_untested", "%s has no tests", b.Label()).
			WithHint("add rules called test_… in a file called …_test.rego, and push a new version")
	}
	return nil
}

func target(name string) access.Target { return access.Target{Kind: "guardrail", Name: name} }

// Pushed is what became of a push.
type Pushed struct {
	Summary
	Created bool // false: the same content was there already
	Bundle  *Bundle
}

// Push takes in a bundle as a tar and makes it a version for ever; nothing is
// in force by that. name and version are for a folder without a manifest. Its
// tests are run and told. The same content again gives the version that is
// there; other content under the same version is a Conflict, "version_exists".
// What is wrong with the bundle is Invalid ("invalid_archive", "invalid_yaml",
// "invalid_bundle", "invalid_policy") or TooLarge ("policy_too_large").
func (s *Service) Push(ctx context.Context, tar io.Reader, name, version string) (Pushed, error) {
	return s.push(ctx, tar, name, version, func(context.Context, queries, *Bundle) error { return nil })
}

// push has the transaction look, before it writes, whether it may.
func (s *Service) push(ctx context.Context, tar io.Reader, name, version string, look func(context.Context, queries, *Bundle) error) (Pushed, error) {
	if _, err := s.access.Check(ctx, access.GuardrailPush, target(name)); err != nil {
		return Pushed{}, err
	}
	b, err := s.take(tar, name, version)
	if err != nil {
		return Pushed{}, err
	}
	decision, err := s.access.Check(ctx, access.GuardrailPush, target(b.Name))
	if err != nil {
		return Pushed{}, err
	}
	p := principal.From(ctx)
	out := Pushed{Bundle: b}
	mine := Summary{
		Name: b.Name, Version: b.Version, Digest: b.Digest, Title: b.Title, Description: b.Description, Conftest: b.Conftest,
		Guardrails: len(b.Guards), Tests: b.RunTests(ctx), CreatedBy: p.ID, CreatorName: p.Name,
	}
	mine.signature = s.signer.signBundle(mine)
	write := func(tx *sqldb.Tx) error {
		out.Created = false
		q := queries{tx}
		if err := look(ctx, q, b); err != nil {
			return err
		}
		old, err := q.find(ctx, b.Name, b.Version)
		switch {
		case err == nil && old.Digest == b.Digest && s.signer.bundleHolds(old):
			out.Summary = old
			return s.mend(ctx, tx, old, b, decision)
		case err == nil:
			return fault.New(fault.Conflict, "version_exists", "version %s of the guardrails %s exists with other content", b.Version, b.Name).
				WithHint("versions never change: raise the version and push again").WithField("/metadata/version")
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("look for version: %w", err)
		}
		made := mine
		made.ID, made.CreatedAt = ident.New("grd"), tx.Now()
		if err := q.insert(ctx, made, b.Archive()); err != nil {
			return fmt.Errorf("insert version: %w", err)
		}
		out.Summary, out.Created = made, true
		audit.Append(ctx, tx, audit.Entry{
			Action: string(access.GuardrailPush), Target: target(b.Name), Decision: decision,
			Details: map[string]any{"version": b.Version, "digest": b.Digest, "guardrails": len(b.Guards), "tests": len(made.Tests.Cases), "testsFailed": made.Tests.Failed()},
		})
		return nil
	}
	err = s.db.Write(ctx, "guardrail.push", write)
	if sqldb.IsUnique(err) { // another replica was quicker: now its row is there to compare with
		err = s.db.Write(ctx, "guardrail.push", write)
	}
	if err != nil {
		return Pushed{}, err
	}
	b.CreatedAt, b.CreatedBy = out.CreatedAt, out.CreatedBy
	s.seen.put(out.Summary, b.Guards)
	return out, nil
}

func isNone(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// mend puts the archive back of a version whose stored one was damaged. The
// signature says that the content pushed now is what was pushed then.
func (s *Service) mend(ctx context.Context, tx *sqldb.Tx, old Summary, b *Bundle, d access.Decision) error {
	q := queries{tx}
	raw, err := q.archive(ctx, old.ID)
	if err != nil {
		return err
	}
	if bytes.Equal(raw, b.Archive()) {
		return nil
	}
	if err := q.mend(ctx, old, b.Archive()); err != nil {
		return err
	}
	// What is in force stays the same, but every replica is to load it anew.
	st, err := q.state(ctx, s.db.ForUpdate())
	if err != nil || !s.signer.stateHolds(st) {
		return err
	}
	list, err := st.versions()
	if err != nil {
		return err
	}
	if st, err = s.signer.state(st.version+1, list); err != nil {
		return err
	}
	tx.After(func() { s.stale.Store(true) })
	tx.Notify(Topic, "")
	audit.Append(ctx, tx, audit.Entry{Action: string(access.GuardrailPush), Target: target(b.Name), Decision: d, Details: map[string]any{"version": b.Version, "digest": b.Digest, "mended": true}})
	return q.setState(ctx, st)
}

func (s *Service) take(tar io.Reader, name, version string) (*Bundle, error) {
	files, err := read(tar)
	if err != nil {
		return nil, err
	}
	return NewBundle(files, name, version)
}

// Test compiles a bundle that is not pushed and runs its tests; nothing is
// kept.
func (s *Service) Test(ctx context.Context, tar io.Reader, name string) (*Bundle, TestReport, error) {
	if _, err := s.access.Check(ctx, access.GuardrailPush, target(name)); err != nil {
		return nil, TestReport{}, err
	}
	if name == "" {
		name = "untitled"
	}
	files, err := read(tar)
	if err != nil {
		return nil, TestReport{}, err
	}
	if _, manifest := files.File(ManifestFile); manifest {
		name = ""
	}
	b, err := NewBundle(files, name, "")
	if err != nil {
		return nil, TestReport{}, err
	}
	return b, b.RunTests(ctx), nil
}
