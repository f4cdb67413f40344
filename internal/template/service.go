package template

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/template/bundle"
	"fairlead/internal/yamlx"
)

// Engines finds the engine that a template names.
type Engines interface {
	Lookup(name string) (engine.Engine, bool)
	Names() []string
}

// Options are what a Service needs; all but Prices and Log are required.
type Options struct {
	DB      *sqldb.DB
	Access  access.Authorizer
	Engines Engines
	Prices  Pricer // checks cost rules; nil: they are not
	Log     *slog.Logger
}

// Service keeps templates. It is safe for concurrent use.
type Service struct {
	db      *sqldb.DB
	access  access.Authorizer
	engines Engines
	prices  Pricer
	log     *slog.Logger
	cache   cache
}

// New makes a Service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{db: o.DB, access: o.Access, engines: o.Engines, prices: o.Prices, log: o.Log}
}

// Push takes in a template as a tar, completes its manifest (see complete) and makes it a version for ever. Pushing
// the same content again gives the version that is there and created false;
// other content under the same version is a Conflict with the code
// "version_exists". What is wrong with the template is an Invalid fault
// ("invalid_archive", "invalid_yaml", "invalid_template", "unknown_engine", or
// the engine's own) that names file, line and field.
func (s *Service) Push(ctx context.Context, tar io.Reader) (v *Version, created bool, err error) {
	return s.PushAs(ctx, tar, Naming{})
}

// PushAs is Push of a template of which the manifest does not say all. An
// archive may be compressed too, and hold the template in a folder (see
// bundle.ReadAny).
func (s *Service) PushAs(ctx context.Context, archive io.Reader, n Naming) (v *Version, created bool, err error) {
	if _, err := s.access.Check(ctx, access.TemplatePush, access.Target{Kind: "template"}); err != nil {
		return nil, false, err
	}
	b, err := bundle.ReadAny(archive, n.Path)
	if err != nil {
		return nil, false, err
	}
	return s.push(ctx, b, n)
}

// Origin is where a version comes from.
type Origin struct {
	Details map[string]any                                // for the audit record
	Held    func(ctx context.Context, tx *sqldb.Tx) error // nil, or whether it may still come, in the transaction that makes it
}

// Import is Push of what somebody's source has, after its tests passed: a case
// that fails is an Invalid fault, code "template_tests_failed", that names each.
func (s *Service) Import(ctx context.Context, b *bundle.Bundle, n Naming, from Origin) (*Version, error) {
	if _, err := s.access.Check(ctx, access.TemplatePush, target(n.Name, nil)); err != nil {
		return nil, err
	}
	v, e, err := s.sound(ctx, b, n)
	if err != nil {
		return nil, err
	}
	report, err := RunTests(ctx, v, e, s.prices)
	if err != nil {
		return nil, err
	}
	var bad []fault.Violation
	for _, c := range report.Cases {
		if !c.Passed {
			bad = append(bad, fault.Violation{Field: c.File, Message: fmt.Sprintf("%s: %s: %s", c.File, c.Name, strings.Join(c.Failures, "; "))})
		}
	}
	if len(bad) > 0 {
		return nil, fault.New(fault.Invalid, "template_tests_failed", "%d of the template's %d tests failed: %s", len(bad), len(report.Cases), bad[0].Message).
			WithField(bad[0].Field).WithViolations(bad...).WithHint("try them with: fairlead template test DIR")
	}
	v, _, err = s.store(ctx, b, v, from)
	return v, err
}

func (s *Service) push(ctx context.Context, b *bundle.Bundle, n Naming) (*Version, bool, error) {
	v, _, err := s.sound(ctx, b, n)
	if err != nil {
		return nil, false, err
	}
	return s.store(ctx, b, v, Origin{})
}

// store makes a sound version one for ever.
func (s *Service) store(ctx context.Context, b *bundle.Bundle, v *Version, from Origin) (*Version, bool, error) {
	decision, err := s.access.Check(ctx, access.TemplatePush, v.Target())
	if err != nil {
		return nil, false, err
	}
	sem, err := parseVersion(v.Version)
	if err != nil {
		return nil, false, err
	}
	v.CreatedBy = principal.From(ctx).ID
	var created bool
	write := func(tx *sqldb.Tx) error {
		created = false
		if from.Held != nil {
			if err := from.Held(ctx, tx); err != nil {
				return err
			}
		}
		q := queries{tx}
		switch old, err := q.find(ctx, v.Name, v.Version); {
		case err == nil && (old.Digest == v.Digest || old.pushed == b.Digest()):
			v.Digest = old.Digest
			v.CreatedAt, v.CreatedBy = old.CreatedAt, old.CreatedBy
			return nil
		case err == nil:
			return fault.New(fault.Conflict, "version_exists", "version %s of the template %s exists with other content", v.Version, v.Name).
				WithHint("versions never change: raise metadata.version in %s and push again", ManifestFile).WithField("/metadata/version")
		case !none(err):
			return fmt.Errorf("look for version: %w", err)
		}
		v.CreatedAt, v.CreatedBy = tx.Now(), principal.From(ctx).ID
		if err := q.insert(ctx, v, sortKey(sem), sem.Prerelease() != ""); err != nil {
			return fmt.Errorf("insert version: %w", err)
		}
		created = true
		said := map[string]any{"version": v.Version, "digest": v.Digest, "engine": v.Engine}
		maps.Copy(said, from.Details)
		audit.Append(ctx, tx, audit.Entry{Action: string(access.TemplatePush), Target: v.Target(), Decision: decision, Details: said})
		return nil
	}
	err = s.db.Write(ctx, "template.push", write)
	if sqldb.IsUnique(err) { // another replica was quicker: now its row is there to compare with
		err = s.db.Write(ctx, "template.push", write)
	}
	if err != nil {
		return nil, false, err
	}
	if v.Digest != v.files.Digest() { // completed by another Fairlead: what is stored counts
		v, err = s.load(ctx, Summary{Name: v.Name, Version: v.Version, Digest: v.Digest, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy})
		return v, false, err
	}
	s.cache.put(v, v.files.Size())
	return v, created, nil
}

// sound reads a bundle and has its engine look at it.
func (s *Service) sound(ctx context.Context, b *bundle.Bundle, n Naming) (*Version, engine.Engine, error) {
	v, err := s.complete(ctx, b, n)
	if err != nil {
		return nil, nil, err
	}
	e, ok := s.engines.Lookup(v.Engine)
	if !ok {
		f := fault.New(fault.Invalid, "unknown_engine", "%s: there is no engine %q", ManifestFile, v.Engine).WithField("/engine")
		if near := yamlx.Nearest(v.Engine, s.engines.Names()); near != "" {
			return nil, nil, f.WithHint("did you mean %q?", near)
		}
		return nil, nil, f.WithHint("the engines here are %s", join(s.engines.Names()))
	}
	if check, ok := e.(engine.Validator); ok {
		t, err := v.atPush()
		if err != nil {
			return nil, nil, err
		}
		if err := check.Validate(ctx, t); err != nil {
			return nil, nil, err
		}
	}
	if err := v.checkCost(s.prices); err != nil {
		return nil, nil, err
	}
	return v, e, nil
}

// Test runs the test cases of a template that is not pushed, and keeps
// nothing of it. A failed case is in the report and no error.
func (s *Service) Test(ctx context.Context, tar io.Reader) (Report, error) {
	return s.TestAs(ctx, tar, Naming{})
}

// TestAs is Test of a template of which the manifest does not say all.
func (s *Service) TestAs(ctx context.Context, archive io.Reader, n Naming) (Report, error) {
	if _, err := s.access.Check(ctx, access.TemplatePush, access.Target{Kind: "template"}); err != nil {
		return Report{}, err
	}
	b, err := bundle.ReadAny(archive, n.Path)
	if err != nil {
		return Report{}, err
	}
	v, e, err := s.sound(ctx, b, n)
	if err != nil {
		return Report{}, err
	}
	return RunTests(ctx, v, e, s.prices)
}

// SeedShipped pushes each folder at the top of tree, as Fairlead itself. It
// does nothing for what is there already. A shipped version whose content
// differs from the stored one is left as it is: stored versions never change.
func (s *Service) SeedShipped(ctx context.Context, tree fs.FS) error {
	ctx = principal.With(ctx, principal.System)
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return fmt.Errorf("shipped templates: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		sub, err := fs.Sub(tree, e.Name())
		if err != nil {
			return fmt.Errorf("shipped template %s: %w", e.Name(), err)
		}
		b, err := bundle.FromFS(sub)
		if err != nil {
			return fmt.Errorf("shipped template %s: %w", e.Name(), err)
		}
		// What is stored already was found to be sound then.
		stored, err := queries{s.db.Read()}.has(ctx, e.Name(), b.Digest())
		if err != nil {
			return fmt.Errorf("shipped template %s: %w", e.Name(), err)
		}
		if stored {
			continue
		}
		_, _, err = s.push(ctx, b, Naming{})
		if errors.Is(err, fault.New(fault.Invalid, "unknown_engine", "")) {
			s.log.InfoContext(ctx, "a shipped template is left out: there is no such engine here", "template", e.Name())
			continue
		}
		if errors.Is(err, fault.New(fault.Conflict, "version_exists", "")) {
			s.log.WarnContext(ctx, "a shipped template differs from the stored version of the same number; the stored one stays", "template", e.Name())
			continue
		}
		if err != nil {
			return fmt.Errorf("shipped template %s: %w", e.Name(), err)
		}
	}
	return nil
}

// Get finds a version: "" is the newest that is no pre-release and not
// deprecated, as far as there is one; an exact version; or the newest that fits a constraint such as
// "^1.2" or "1.x". NotFound has the code "unknown_template" or
// "unknown_template_version".
func (s *Service) Get(ctx context.Context, name, version string) (*Version, error) {
	row, err := s.choose(ctx, name, version)
	if err != nil && !none(err) {
		return nil, err
	}
	if err == nil {
		return s.visible(ctx, row)
	}
	// Whoever may not know of the template learns nothing from its versions.
	newest, err := s.newest(ctx, name)
	if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.NotFound, "unknown_template_version", "the template %s has no version %s", newest.Name, yamlx.Quote(version)).
		WithHint("the newest is %s; see them all with: fairlead template show %s", newest.Version, newest.Name).WithField("/version")
}

// Load gives an exact version to whoever holds a resource made from it, and so
// asks for no more than a signed-in caller: a resource's face checks the
// resource. Whether it is deprecated is not looked up: what lives stays.
func (s *Service) Load(ctx context.Context, name, version string) (*Version, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		return nil, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	if v, ok := s.cache.of(name, version); ok {
		return v, nil
	}
	row, err := queries{s.db.Read()}.find(ctx, name, version)
	if none(err) {
		return nil, fault.New(fault.NotFound, "unknown_template_version", "the template %s has no version %s", yamlx.Quote(name), yamlx.Quote(version))
	}
	if err != nil {
		return nil, fmt.Errorf("find template: %w", err)
	}
	return s.load(ctx, row)
}

// choose picks the row; sql.ErrNoRows when none fits.
func (s *Service) choose(ctx context.Context, name, version string) (Summary, error) {
	q := queries{s.db.Read()}
	if version == "" {
		return q.latest(ctx, name)
	}
	if _, err := parseVersion(version); err == nil {
		return q.find(ctx, name, version)
	}
	c, err := constraint(version)
	if err != nil {
		if _, e := s.newest(ctx, name); e != nil { // of a hidden template nothing else is said
			return Summary{}, e
		}
		return Summary{}, err
	}
	var w sqldb.Where
	w.And(`name = ?`, name)
	second := Summary{} // what fits and is deprecated
	for after := ""; ; {
		rows, next, err := versions.Page(ctx, s.db.Read(), w, "", sqldb.Page{Limit: 200, After: after})
		if err != nil {
			return Summary{}, err
		}
		for _, row := range rows {
			v, err := parseVersion(row.Version)
			switch {
			case err != nil || !c.Check(v):
			case !row.Deprecation.Deprecated():
				return row, nil
			case second.Name == "" || !second.Deprecation.EndOfLife.IsZero() && row.Deprecation.EndOfLife.IsZero():
				second = row
			}
		}
		if after = next; after == "" {
			if second.Name != "" {
				return second, nil
			}
			return Summary{}, sql.ErrNoRows
		}
	}
}

// newest gives the latest version that the caller may see.
func (s *Service) newest(ctx context.Context, name string) (*Version, error) {
	row, err := queries{s.db.Read()}.latest(ctx, name)
	if none(err) {
		if _, err := s.access.Check(ctx, access.TemplateView, target(name, nil)); err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		return nil, s.unknown(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("find template: %w", err)
	}
	return s.visible(ctx, row)
}

// visible loads a version and gives it to whoever may see it.
func (s *Service) visible(ctx context.Context, row Summary) (*Version, error) {
	v, err := s.load(ctx, row)
	if err != nil {
		return nil, err
	}
	if _, err := s.access.Check(ctx, access.TemplateView, v.Target()); err != nil {
		if fault.Is(err, fault.NotFound) { // told apart from a name that nobody has by nothing
			return nil, s.unknown(ctx, row.Name)
		}
		return nil, err
	}
	return v, nil
}

func (s *Service) unknown(ctx context.Context, name string) error {
	f := fault.New(fault.NotFound, "unknown_template", "there is no template %s", yamlx.Quote(name)).WithField("/template").
		WithHint("see what there is with: fairlead template ls")
	list, err := s.List(ctx, Filter{}, sqldb.Page{Limit: 200})
	if err != nil {
		return f
	}
	var names []string
	for _, v := range list.Items {
		if v.Name != name {
			names = append(names, v.Name)
		}
	}
	if near := yamlx.Nearest(name, names); near != "" {
		return f.WithHint("did you mean %q? See what there is with: fairlead template ls", near)
	}
	return f
}

// Filter narrows a list; an empty field does not.
type Filter struct {
	Search string // in name, title and description, whatever the case
	Tag    string
	Engine string
	Sort   string // name, or created (the latest version); with - before it the other way round
}

// List is a page of things and where the next begins.
type List[T any] struct {
	Items []T
	Next  string // "" on the last page
}

// List gives the latest version of each template that the caller may see.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) (List[*Version], error) {
	out := List[*Version]{Items: []*Version{}}
	if principal.From(ctx).Kind == principal.Anonymous {
		return out, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	var last Summary
	for after := page.After; ; {
		rows, next, err := templates.Page(ctx, s.db.Read(), f.where(), f.Sort, sqldb.Page{Limit: page.Size(), After: after})
		if err != nil {
			return out, fmt.Errorf("list templates: %w", err)
		}
		for _, row := range rows {
			v, err := s.load(ctx, row)
			if err != nil { // one damaged template does not hide its neighbours
				s.log.ErrorContext(ctx, "a template cannot be read", "template", row.Name, "version", row.Version, "error", err)
				continue
			}
			if _, err := s.access.Check(ctx, access.TemplateView, v.Target()); fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
				continue
			} else if err != nil {
				return out, err
			}
			if len(out.Items) == page.Size() {
				out.Next = templates.After(f.Sort, last)
				return out, nil
			}
			out.Items, last = append(out.Items, v), row
		}
		if after = next; next == "" {
			return out, nil
		}
	}
}

// Versions gives a template's versions, newest first by semantic version.
func (s *Service) Versions(ctx context.Context, name string, page sqldb.Page) (List[Summary], error) {
	v, err := s.newest(ctx, name)
	if err != nil {
		return List[Summary]{}, err
	}
	var w sqldb.Where
	w.And(`name = ?`, v.Name)
	rows, next, err := versions.Page(ctx, s.db.Read(), w, "", page)
	if err != nil {
		return List[Summary]{}, fmt.Errorf("list versions: %w", err)
	}
	return List[Summary]{Items: rows, Next: next}, nil
}

func join(names []string) string {
	return strings.Join(slices.Sorted(slices.Values(names)), ", ")
}

func damaged(row Summary, err error) error {
	return fault.New(fault.Internal, "template_damaged", "the stored template %s %s cannot be read", row.Name, row.Version).WithCause(err)
}
