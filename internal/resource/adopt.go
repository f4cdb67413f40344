package resource

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Takeover names what a new resource is to adopt: one of the two.
type Takeover struct {
	Object string        // KIND/NAME, such as database/orders
	State  redact.Secret // the text of a state file
}

// MaxTakeover is the largest state that can be adopted, in bytes.
const MaxTakeover = 16 << 20

// maxPacked is the largest secret that is kept, in bytes.
const maxPacked = 1 << 20

// mark is what is recorded of it.
func (t Takeover) mark() string {
	if t.State.Empty() {
		return t.Object
	}
	sum := sha256.Sum256([]byte(t.State.Reveal()))
	return statePrefix + hex.EncodeToString(sum[:16])
}

const statePrefix = "state/"

// PlanAdoption says what Adopt would do, and changes nothing.
func (s *Service) PlanAdoption(ctx context.Context, project, environment string, w Wanted) (Preview, error) {
	env, err := s.Environments.Resolve(ctx, project, environment)
	if err != nil {
		return Preview{}, err
	}
	c, err := s.checkAdoption(ctx, env, w)
	if err != nil {
		return Preview{}, err
	}
	switch _, err := s.db.find(ctx, s.DB.Read(), env.ID, w.Name); {
	case err == nil:
		return Preview{}, nameTaken(Resource{Name: w.Name, Environment: env.Name, Project: env.Project}, nil)
	case !errors.Is(err, sql.ErrNoRows):
		return Preview{}, err
	}
	r := Resource{ID: "res_00000000000000000000000000", Name: w.Name, EnvironmentID: env.ID, TeamID: env.TeamID, Engine: c.info.Engine, Revision: 1, Adopted: c.Adopt.mark()}
	return s.preview(ctx, env, r, c, nil)
}

// Adopt is Create of a resource that takes over what exists already. Its first
// run plans on it, passes the gates as any other, marks it as the resource's
// and brings it to what is wanted. The same adoption asked for again gives the
// resource that is there.
func (s *Service) Adopt(ctx context.Context, project, environment string, w Wanted) (Resource, error) {
	return settleMoved(func() (Resource, error) {
		env, err := s.Environments.Resolve(ctx, project, environment)
		if err != nil {
			return Resource{}, err
		}
		c, err := s.checkAdoption(ctx, env, w)
		if err != nil {
			return Resource{}, err
		}
		switch have, err := s.db.find(ctx, s.DB.Read(), env.ID, w.Name); {
		case err == nil && have.Adopted == c.Adopt.mark() && have.Template == c.info.Name:
			return have, nil
		case err == nil:
			return Resource{}, nameTaken(Resource{Name: w.Name, Environment: env.Name, Project: env.Project}, nil)
		case !errors.Is(err, sql.ErrNoRows):
			return Resource{}, err
		}
		if err := s.gateRequest(ctx, env, &c, nil); err != nil {
			return Resource{}, err
		}
		var made Resource
		err = s.DB.Write(ctx, "resource.adopt", func(tx *sqldb.Tx) error {
			var err error
			made, err = s.insert(ctx, tx, env, c)
			return err
		})
		return made, taken(err)
	})
}

// checkAdoption is check for a request that adopts something.
func (s *Service) checkAdoption(ctx context.Context, env Environment, w Wanted) (checked, error) {
	if _, err := s.Access.Check(ctx, access.ResourceAdopt, env.target("resource", "", w.Name, w.Template)); err != nil {
		return checked{}, err
	}
	c, err := s.check(ctx, env, w, access.ResourceCreate, "")
	if err != nil {
		return c, err
	}
	if _, ok := s.Engines[c.info.Engine].(engine.Adopter); !ok {
		return c, fault.New(fault.Invalid, "not_adoptable", "template %s takes over nothing that exists already: its engine cannot", c.info.Name)
	}
	switch t := w.Adopt; {
	case t == nil || t.Object == "" && t.State.Empty():
		return c, fault.New(fault.Invalid, "nothing_to_adopt", "nothing was named that is to be adopted").
			WithHint("name an object (KIND/NAME), or send a state").WithField("/object")
	case t.Object != "" && !t.State.Empty():
		return c, fault.New(fault.Invalid, "nothing_to_adopt", "either an object or a state is adopted, not both").WithField("/object")
	case len(t.Object) > 200 || clean(t.Object) != t.Object || strings.HasPrefix(t.Object, statePrefix):
		return c, fault.New(fault.Invalid, "nothing_to_adopt", "%q names no object", clip(clean(t.Object))).WithHint("as database/orders").WithField("/object")
	case len(t.State.Reveal()) > MaxTakeover:
		return c, tooMuchToAdopt()
	}
	return c, s.checkReferences(ctx, env, c, nil)
}

func tooMuchToAdopt() error {
	return fault.New(fault.TooLarge, "state_too_large", "the state is larger than can be adopted").
		WithHint("split the module, or keep large data out of its state").WithField("/state")
}

// adoptOwner is whose secret a state is until it was adopted. It is apart from
// the resource's outputs, for which it must not be taken.
func adoptOwner(id string) string { return "adopt:" + id }

// keepAdoption records what is to be adopted, with the new resource.
func (s *Service) keepAdoption(ctx context.Context, tx *sqldb.Tx, r *Resource, t *Takeover) error {
	if t == nil {
		return nil
	}
	r.Adopted = t.mark()
	if err := tx.Later(ctx, `UPDATE resources SET adopted = $2 WHERE id = $1`, r.ID, r.Adopted); err != nil || t.State.Empty() {
		return err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(t.State.Reveal())); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	packed := base64.StdEncoding.EncodeToString(b.Bytes())
	if len(packed) > maxPacked {
		return tooMuchToAdopt()
	}
	return s.Secrets.Put(ctx, tx, adoptOwner(r.ID), "state", redact.New(packed))
}

// adoption is what a resource's first run takes over; nil for none.
func (s *Service) adoption(ctx context.Context, r Resource, t *Takeover) (*engine.Adoption, error) {
	if r.Adopted == "" || r.AppliedRevision > 0 {
		return nil, nil
	}
	a := &engine.Adoption{Released: func(ctx context.Context, id string) (bool, error) { return s.db.released(ctx, id, r.TeamID) }}
	switch {
	case t != nil:
		a.Object, a.State = t.Object, t.State
	case !strings.HasPrefix(r.Adopted, statePrefix):
		a.Object = r.Adopted
	default:
		packed, err := s.Secrets.Get(ctx, adoptOwner(r.ID), "state")
		if err != nil {
			return nil, err
		}
		if a.State, err = unpackState(packed); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func unpackState(packed redact.Secret) (redact.Secret, error) {
	damaged := fault.New(fault.Conflict, "state_damaged", "the state that was to be adopted cannot be read any more").
		WithHint("destroy the resource, which touches nothing of it, and adopt again")
	raw, err := base64.StdEncoding.DecodeString(packed.Reveal())
	if err != nil {
		return redact.Secret{}, damaged
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return redact.Secret{}, damaged
	}
	text, err := io.ReadAll(io.LimitReader(z, MaxTakeover+1))
	if err != nil || len(text) > MaxTakeover {
		return redact.Secret{}, damaged
	}
	return redact.New(string(text)), nil
}

// planned is what this run would do: on what it adopts, when it does.
func (w *work) planned(ctx context.Context, req engine.Request) (engine.Plan, *engine.Adoption, error) {
	a, err := w.s.adoption(ctx, w.res, nil)
	if err != nil {
		return engine.Plan{}, nil, err
	}
	if a == nil {
		p, err := w.eng.Plan(ctx, req)
		return p, nil, err
	}
	eng, err := adopter(w.eng, w.res.Template)
	if err != nil {
		return engine.Plan{}, nil, err
	}
	p, err := eng.PlanAdoption(ctx, req, *a)
	return p, a, err
}

func adopter(e engine.Engine, template string) (engine.Adopter, error) {
	if a, ok := e.(engine.Adopter); ok {
		return a, nil
	}
	return nil, fault.New(fault.Invalid, "not_adoptable", "template %s takes over nothing that exists already: its engine cannot", template)
}

// takeOver makes what the run adopts the resource's.
func (w *work) takeOver(ctx context.Context, req engine.Request, a *engine.Adoption) error {
	if a == nil {
		return nil
	}
	eng, err := adopter(w.eng, w.res.Template)
	if err != nil {
		return err
	}
	return w.external(ctx, "adopting", "engine.adopt", func() error { return eng.Adopt(ctx, req, *a, w.log) })
}

// adopted forgets the state that was taken over, with the first success.
func (w *work) adopted(ctx context.Context, tx *sqldb.Tx) error {
	if w.res.Adopted == "" {
		return nil
	}
	return w.s.Secrets.Delete(ctx, tx, adoptOwner(w.res.ID))
}

// released tells whether a resource was let go of by the team.
func (s store) released(ctx context.Context, id, team string) (bool, error) {
	var n int
	err := s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM resources WHERE id = $1 AND team_id = $2 AND phase = $3`, id, team, Released).Scan(&n)
	return n > 0, err
}
