package resource

import (
	"context"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Wanted is one resource as somebody asks for it.
type Wanted struct {
	Name     string
	Template string
	Version  string // number, constraint; "" is the one in use, for a new resource the newest stable
	Inputs   map[string]any
	Note     string        // why
	IfMatch  int64         // Apply only: the version that the caller knows; 0 does not check
	Lease    time.Duration // of a new resource; 0: what its environment's rules say
	Adopt    *Takeover     // Adopt only: what it takes over
}

// checked is a Wanted that passed everything that needs no transaction.
type checked struct {
	Wanted
	template  Template
	info      TemplateInfo
	secret    []string // pointers of the secret inputs
	refs      []Reference
	decision  access.Decision
	judgement gate.Judgement
}

// Create accepts a request: the record, its first revision, its run, its job
// and its audit record are one transaction, and nothing external has happened
// when it returns.
func (s *Service) Create(ctx context.Context, project, environment string, w Wanted) (Resource, error) {
	return settleMoved(func() (Resource, error) {
		env, err := s.Environments.Resolve(ctx, project, environment)
		if err != nil {
			return Resource{}, err
		}
		c, err := s.check(ctx, env, w, access.ResourceCreate, "")
		if err != nil {
			return Resource{}, err
		}
		if err := s.checkReferences(ctx, env, c, nil); err != nil {
			return Resource{}, err
		}
		if err := s.gateRequest(ctx, env, &c, nil); err != nil {
			return Resource{}, err
		}
		var made Resource
		err = s.DB.Write(ctx, "resource.create", func(tx *sqldb.Tx) error {
			var err error
			made, err = s.insert(ctx, tx, env, c)
			return err
		})
		return made, taken(err)
	})
}

const maxNote = 1000 // bytes

// check authorises and validates a request, but for what its references point to.
func (s *Service) check(ctx context.Context, env Environment, w Wanted, action access.Action, id string) (checked, error) {
	c := checked{Wanted: w}
	var err error
	if c.decision, err = s.Access.Check(ctx, action, env.target("resource", id, w.Name, w.Template)); err != nil {
		return c, err
	}
	if id == "" {
		if err := ident.CheckName(w.Name); err != nil {
			return c, fault.From(err).WithField("/name")
		}
	}
	if err := checkNote(w.Note); err != nil {
		return c, err
	}
	if c.template, err = s.Templates.Find(ctx, w.Template, w.Version); err != nil {
		return c, err
	}
	c.info = c.template.Info()
	use := env.target("template", c.info.Name, c.info.Name, c.info.Name)
	use.Attributes = c.info.Attributes
	if _, err := s.Access.Check(ctx, access.TemplateUse, use); err != nil {
		return c, err
	}
	if action == access.ResourceCreate {
		if err := s.alive(ctx, c.info); err != nil {
			return c, err
		}
	}
	if _, ok := s.Engines[c.info.Engine]; !ok {
		return c, noEngine(c.info.Engine)
	}
	if c.Inputs, err = c.template.Check(w.Inputs); err != nil {
		return c, underInputs(err)
	}
	if c.refs, err = s.Templates.References(c.Inputs); err != nil {
		return c, underInputs(err)
	}
	c.secret = c.template.SecretInputs(c.Inputs)
	for _, p := range c.toSeal() {
		if at(c.Inputs, p) == masked {
			return c, fault.New(fault.Invalid, "redacted_input", "the input is what a secret is shown as, not a secret").
				WithField("/inputs" + p).WithHint("leave the input out of the change to keep it, or send its value")
		}
	}
	return c, nil
}

// alive refuses versions whose end of life has come. What is made from one
// lives on, and can be changed as long as it stays with it.
func (s *Service) alive(ctx context.Context, t TemplateInfo) error {
	if t.EndOfLife.IsZero() {
		return nil
	}
	now, err := s.DB.Now(ctx)
	if err != nil || now.Before(t.EndOfLife) {
		return err
	}
	return fault.New(fault.Conflict, "template_end_of_life", "%s %s has reached the end of its life on %s", t.Name, t.Version, t.EndOfLife.UTC().Format("2006-01-02")).
		WithField("/version").WithHint("%s", t.Instead)
}

func checkNote(note string) error {
	if len(note) > maxNote {
		return fault.New(fault.Invalid, "note_too_long", "the note is longer than %d bytes", maxNote).WithField("/note")
	}
	if clean(note) != note {
		return fault.New(fault.Invalid, "invalid_text", "the note holds characters that are no text").WithField("/note")
	}
	return nil
}

func noEngine(name string) error {
	return fault.New(fault.Unavailable, "engine_unavailable", "this server has no engine %q", name).
		WithHint("ask the platform team to configure it")
}

// underInputs gives a fault's fields as pointers into the request.
func underInputs(err error) error {
	return within(err, "/inputs")
}

// within puts a prefix before a fault's fields. The fault itself stays as it
// is: it may be somebody's sentinel.
func within(err error, prefix string) error {
	f := *fault.From(err)
	if f.Kind == fault.Internal {
		return err
	}
	if f.Field != "" || len(f.Violations) > 0 {
		f.Field = prefix + f.Field
	}
	f.Violations = nil
	for _, v := range fault.From(err).Violations {
		v.Field = prefix + v.Field
		f.Violations = append(f.Violations, v)
	}
	return &f
}

// insert writes a new resource with all that belongs to it.
func (s *Service) insert(ctx context.Context, tx *sqldb.Tx, env Environment, c checked) (Resource, error) {
	now, who := tx.Now(), principal.From(ctx)
	r := Resource{
		ID: ident.New("res"), Name: c.Name, EnvironmentID: env.ID, Environment: env.Name, Class: env.Class, ProjectID: env.ProjectID, Project: env.Project,
		TeamID: env.TeamID, Team: env.Team, Template: c.info.Name, TemplateVersion: c.info.Version, Engine: c.info.Engine, Phase: Pending, Revision: 1,
		Outputs: map[string]Output{}, CreatedAt: now, CreatedBy: who.ID, CreatedByName: who.Name, UpdatedAt: now, Version: 1, wantedVersion: 1,
		templateDigest: c.info.Digest,
	}
	if err := s.lockGraph(ctx, tx, env, c.refs); err != nil {
		return r, err
	}
	if err := s.db.holdEnvironment(ctx, tx, env); err != nil {
		return r, err
	}
	if err := s.db.insert(ctx, tx, r); err != nil {
		return r, err
	}
	if err := s.adopt(ctx, tx, &r, c, 0); err != nil {
		return r, err
	}
	if err := s.keepAdoption(ctx, tx, &r, c.Adopt); err != nil {
		return r, err
	}
	run := s.newRun(ctx, r, RunApply, now)
	if err := s.db.insertRun(ctx, tx, run); err != nil {
		return r, err
	}
	r.RunID, r.Verdicts = run.ID, c.judgement.Verdicts
	decision, err := s.Gates.Admit(ctx, tx, c.judgement, r.ID, r.RunID)
	if err != nil {
		return r, err
	}
	details := map[string]any{"templateVersion": r.TemplateVersion, "templateDigest": c.info.Digest, "note": c.Note, "inputs": r.Inputs, "run": r.RunID, "gates": decision}
	action := access.ResourceCreate
	if c.Adopt != nil {
		action, details["adopted"] = access.ResourceAdopt, r.Adopted
	}
	audit.Append(ctx, tx, audit.Entry{
		Action: string(action), Target: env.target("resource", r.ID, r.Name, r.Template), Decision: c.decision, Details: details,
	})
	if c.Adopt != nil {
		if err := s.tell(ctx, tx, "resource.adoption_requested", r, map[string]any{"adopted": r.Adopted, "run": r.RunID}); err != nil {
			return r, err
		}
	}
	return r, s.enqueue(ctx, tx, r, 0)
}

func nameTaken(r Resource, cause error) error {
	return fault.New(fault.Conflict, "name_taken", "%s/%s already has a resource %q", r.Project, r.Environment, r.Name).
		WithField("/name").WithHint("choose another name, or change the one that is there: fairlead apply").WithCause(cause)
}

// adopt makes what was asked for r's wanted revision, r.Revision: its secret
// inputs sealed, its references r's own, after it found what they point to.
func (s *Service) adopt(ctx context.Context, tx *sqldb.Tx, r *Resource, c checked, rolledBackTo int64) error {
	var err error
	if r.Inputs, r.sealed, err = s.sealInputs(ctx, tx, r.ID, r.Revision, c); err != nil {
		return err
	}
	rev := Revision{Number: r.Revision, Template: c.info.Name, TemplateVersion: c.info.Version, TemplateDigest: c.info.Digest,
		Inputs: r.Inputs, sealed: r.sealed, Note: c.Note, RolledBackTo: rolledBackTo, CreatedAt: tx.Now(), CreatedBy: principal.From(ctx).ID}
	if err := s.db.insertRevision(ctx, tx, r.ID, rev); err != nil {
		return err
	}
	if r.Revision == 1 && len(c.refs) == 0 {
		return nil // it had none before
	}
	resolved, err := s.linkReferences(ctx, tx, *r, c.refs)
	if err != nil {
		return err
	}
	return s.db.replaceReferences(ctx, tx, r.ID, resolved)
}
