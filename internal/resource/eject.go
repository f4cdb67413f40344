package resource

import (
	"bytes"
	"context"
	"errors"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Ejection is what somebody needs to go on with a resource by themselves.
type Ejection struct {
	Resource Resource
	Files    []engine.File
}

// Eject gives the files of what was applied last. Secrets are in them only with
// reveal, which takes the right to, and is in the audit log before they are
// given. Nothing is changed.
func (s *Service) Eject(ctx context.Context, w Where, reveal bool) (Ejection, error) {
	l, err := s.locate(ctx, w, access.ResourceEject)
	if err != nil {
		return Ejection{}, err
	}
	if reveal {
		if l, err = s.authorise(ctx, l.Resource, l.env, access.ResourceReveal); err != nil {
			return Ejection{}, err
		}
	}
	eng, ok := s.Engines[l.Engine].(engine.Ejector)
	if !ok {
		return Ejection{}, notEjectable(l.Template)
	}
	if err := ejectable(l.Resource); err != nil {
		return Ejection{}, err
	}
	req, err := s.applied(ctx, l, reveal)
	if err != nil {
		return Ejection{}, err
	}
	files, err := eng.Eject(ctx, req, reveal)
	if err != nil {
		return Ejection{}, err
	}
	if !reveal {
		if err := s.cover(ctx, l.Resource, files); err != nil {
			return Ejection{}, err
		}
	}
	err = s.DB.Write(ctx, "resource.eject", func(tx *sqldb.Tx) error {
		e := audit.Entry{
			Action: string(access.ResourceEject), Target: l.env.target("resource", l.ID, l.Name, l.Template), Decision: l.decision,
			Details: map[string]any{"revision": l.AppliedRevision, "templateVersion": req.Template.Version, "templateDigest": req.Template.Digest, "files": len(files), "secrets": reveal},
		}
		audit.Append(ctx, tx, e)
		if reveal {
			e.Action, e.Details = string(access.ResourceReveal), map[string]any{"outputs": "all", "by": "eject"}
			audit.Append(ctx, tx, e)
		}
		return s.tell(ctx, tx, "resource.ejected", l.Resource, map[string]any{"revision": l.AppliedRevision, "files": len(files), "secrets": reveal})
	})
	return Ejection{l.Resource, files}, err
}

func notEjectable(template string) error {
	return fault.New(fault.Invalid, "not_ejectable", "resources of template %s cannot be handed over: their engine has no form for it", template)
}

// ejectable refuses what is not there, or about to be something else.
func ejectable(r Resource) error {
	switch {
	case !r.DestroyWantedAt.IsZero():
		return beingDestroyed(r)
	case r.AppliedRevision == 0 || !r.Phase.Settled():
		return fault.New(fault.Conflict, "not_ready", "%s is %s; only what was made, and is at rest, can be handed over", r.Name, r.Phase).
			WithHint("%s", r.Pasted("wait until it is ready: fairlead get RESOURCE"))
	}
	return nil
}

// applied is the engine's request of what was applied last; without reveal
// there is no secret in it.
func (s *Service) applied(ctx context.Context, l located, reveal bool) (engine.Request, error) {
	r := l.Resource
	if r.Revision != r.AppliedRevision {
		rev, err := s.db.revision(ctx, s.DB.Read(), r.ID, r.AppliedRevision)
		if err != nil {
			return engine.Request{}, err
		}
		r.Revision, r.TemplateVersion, r.Inputs, r.sealed = rev.Number, rev.TemplateVersion, rev.Inputs, rev.sealed
	}
	t, err := s.Templates.Load(ctx, r.Template, r.TemplateVersion)
	if err != nil {
		return engine.Request{}, err
	}
	var inputs map[string]any
	if reveal {
		inputs, err = s.resolve(ctx, r)
	} else {
		inputs, err = s.resolved(ctx, r.EnvironmentID, r.Inputs)
	}
	if waits, ok := errors.AsType[errWaiting](err); ok {
		return engine.Request{}, fault.New(fault.Conflict, "not_ready", "what %s refers to is not there: it %s", r.Name, waits.Error())
	}
	if err != nil {
		return engine.Request{}, err
	}
	prev, err := s.previous(ctx, r)
	if err != nil {
		return engine.Request{}, err
	}
	if !reveal {
		for name, o := range prev.Outputs {
			if o.Sensitive {
				prev.Outputs[name] = engine.Output{Sensitive: true}
			}
		}
	}
	return s.request(l.env, r, t, inputs, prev)
}

// cover masks what an engine let slip.
func (s *Service) cover(ctx context.Context, r Resource, files []engine.File) error {
	secrets, err := s.secrets(ctx, r)
	if err != nil {
		return err
	}
	for _, v := range secrets {
		if text := v.Reveal(); len(text) >= 6 {
			for i := range files {
				files[i].Data = bytes.ReplaceAll(files[i].Data, []byte(text), []byte(masked))
			}
		}
	}
	return nil
}

// Release lets go of a resource: from then on it is nobody's here. All that it
// made stays where and as it is; its quota is free, its name too. It is refused
// as long as others refer to it. It is over when the phase is Released; asking
// again is success.
func (s *Service) Release(ctx context.Context, w Where, ifMatch int64) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceRelease)
	if err != nil {
		return Resource{}, err
	}
	if _, ok := s.Engines[l.Engine].(engine.Ejector); !ok {
		return Resource{}, notEjectable(l.Template)
	}
	if !l.DestroyWantedAt.IsZero() {
		if l.lettingGo {
			return l.Resource, nil
		}
		return Resource{}, beingDestroyed(l.Resource)
	}
	if err := ejectable(l.Resource); err != nil {
		return Resource{}, err
	}
	return s.end(ctx, l, ifMatch, ending{letGo: true})
}

// letGo is the end of a resource that is only let go of.
func (w *work) letGo(ctx context.Context) error {
	eng, ok := w.eng.(engine.Ejector)
	if !ok {
		return w.fail(ctx, notEjectable(w.res.Template))
	}
	req, err := w.requestForEnd(ctx)
	if err != nil {
		return w.fail(ctx, err)
	}
	if on, err := w.enter(ctx, "run.release", Releasing, engine.Plan{Changes: []engine.Change{}}); !on {
		return err
	}
	if err := w.external(ctx, "releasing", "engine.release", func() error { return eng.Release(ctx, req) }); err != nil {
		return w.fail(ctx, err)
	}
	w.log.step("releasing", "let go of; all that it made stays as it is")
	return w.ended(ctx, Released, "resource:released", map[string]any{"left": w.res.Objects})
}
