package approval

import (
	"context"
	"maps"
	"slices"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Settle implements gate.Approvals for a run of a resource.
func (s *Service) Settle(ctx context.Context, tx *sqldb.Tx, ask gate.Ask) (gate.Answer, error) {
	f := ask.Facts
	a := Approval{
		Kind: KindResource, SubjectID: f.ResourceID, Title: f.Resource, RunID: f.RunID, Action: string(f.Action), Revision: f.Revision,
		Template: f.Template.Name, TemplateVersion: f.Template.Version, TeamID: f.Environment.TeamID, Team: f.Environment.Team,
		ProjectID: f.Environment.ProjectID, Project: f.Environment.Project, EnvironmentID: f.Environment.ID, Environment: f.Environment.Name,
		Class: f.Environment.Class, attributes: f.Environment.Attributes, Parts: ask.Binding, Verdicts: ask.Verdicts,
	}
	needs, within := needed(ask.Verdicts)
	if len(needs) == 0 && f.First {
		return gate.Answer{}, nil // there is nothing to void
	}
	if len(needs) > 0 {
		a.Document = f.Document()
	}
	asked := f.Asked
	if asked.IsZero() {
		asked = tx.Now()
	}
	actors := []actor{{f.Principal.ID, "asked for it", asked}}
	if len(needs) > 0 {
		authors, err := s.store.authors(ctx, tx, f.ResourceID, f.Revision)
		if err != nil {
			return gate.Answer{}, err
		}
		actors = append(actors, authors...)
		actors = append(actors, actor{f.Author, madeRevision, asked})
		behind, err := s.store.behind(ctx, tx, f.ResourceID, f.RunID, ask.Binding[gate.PartReferences])
		if err != nil {
			return gate.Answer{}, err
		}
		actors = append(actors, behind...)
	}
	return s.settle(ctx, tx, a, f.Principal, actors, needs, within)
}

const madeRevision = "made this revision"

// actor is somebody who has a part in what is asked for, since when.
type actor struct {
	id, why string
	at      time.Time
}

// Ensure is Settle for anything else that people must agree to. The requester
// is who acts in ctx. No needs: it voids what is open, and nothing was needed.
func (s *Service) Ensure(ctx context.Context, tx *sqldb.Tx, sub Subject, needs []gate.Need, b gate.Binding) (gate.Answer, error) {
	a := Approval{Kind: sub.Kind, SubjectID: sub.ID, Title: sub.Title, RunID: sub.Run, Action: sub.Action, TeamID: sub.TeamID, Team: sub.Team,
		Parts: b, Document: sub.Document, Verdicts: sub.Verdicts}
	within := time.Duration(0)
	for _, n := range needs {
		within = shorter(within, n.Within)
	}
	p := principal.From(ctx)
	return s.settle(ctx, tx, a, p, []actor{{p.ID, "asked for it", tx.Now()}, {sub.Author, "made it", tx.Now()}}, needs, within)
}

// needed gives who must agree by some verdicts, and by when.
func needed(verdicts []gate.Verdict) (needs []gate.Need, within time.Duration) {
	for _, v := range verdicts {
		if v.Strength != gate.Approve {
			continue
		}
		n := gate.Need{}
		if v.Need != nil {
			n = *v.Need
		}
		needs, within = append(needs, n), shorter(within, n.Within)
	}
	return needs, within
}

func shorter(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// settle finds, voids, opens. a is the approval as it would be made.
func (s *Service) settle(ctx context.Context, tx *sqldb.Tx, a Approval, requester principal.Principal, actors []actor, asked []gate.Need, within time.Duration) (gate.Answer, error) {
	a.Digest = a.Parts.Digest()
	living, err := s.store.living(ctx, tx, a.Kind, a.SubjectID, a.RunID, a.Digest)
	if err != nil {
		return gate.Answer{}, err
	}
	if len(asked) == 0 {
		return gate.Answer{}, s.void(ctx, tx, living, Approval{}, "no approval is needed any more")
	}
	if a.Needs, err = s.resolve(ctx, tx, asked, a.TeamID, a.Team); err != nil {
		return gate.Answer{}, err
	}
	if err := s.bar(ctx, tx, &a, requester, actors); err != nil {
		return gate.Answer{}, err
	}
	hit, err := s.hit(ctx, tx, a, living)
	if err != nil {
		return gate.Answer{}, err
	}
	if hit != nil {
		a.ID = hit.ID
	}
	if err := s.void(ctx, tx, living, a, "another request took its place"); err != nil {
		return gate.Answer{}, err
	}
	if hit == nil {
		return s.open(ctx, tx, a, within)
	}
	return s.found(ctx, tx, *hit, a.Needs, within)
}

// hit gives the newest approval for a's attempt and binding. That of another
// attempt at the same, by the same people, is taken over while its time lasts:
// one that waits still, and for a run one that was given.
func (s *Service) hit(ctx context.Context, tx *sqldb.Tx, a Approval, living []Approval) (*Approval, error) {
	for i, l := range living {
		if l.RunID == a.RunID && l.Digest == a.Digest {
			return &living[i], nil
		}
	}
	for i, l := range living {
		again := l.Status == Pending || l.Status == Approved && l.Kind == KindResource && l.Revision == a.Revision && l.Action == a.Action
		if !again || l.Digest != a.Digest || l.RequestedBy != a.RequestedBy || !slices.Equal(l.Barred, a.Barred) || !tx.Now().Before(l.ExpiresAt) {
			continue
		}
		_, err := tx.ExecContext(ctx, `UPDATE approvals SET run_id = $2, revision = $3 WHERE id = $1`, l.ID, a.RunID, a.Revision)
		living[i].RunID, living[i].Revision = a.RunID, a.Revision
		return &living[i], err
	}
	return nil, nil
}

// slack is how long before it is written down somebody may have asked: their
// token was good then, whatever became of it since.
const slack = 10 * time.Minute

// bar says who has no say: who asked, who made the revision or one that it was
// made on top of, and who could have acted as the robot that did.
func (s *Service) bar(ctx context.Context, tx *sqldb.Tx, a *Approval, requester principal.Principal, actors []actor) error {
	a.RequestedBy, a.Requester = requester.ID, requester.Name
	if requester.ID == "" {
		a.RequestedBy, a.Requester = principal.System.ID, principal.System.Name
	}
	add := func(id, why string) {
		if id != "" && a.barred(id) == "" {
			a.Barred = append(a.Barred, Barred{id, why})
		}
	}
	for _, actor := range actors {
		add(actor.id, actor.why)
		if actor.id == "" {
			continue
		}
		p, _, err := s.people.Person(ctx, tx, actor.id)
		if fault.Is(err, fault.NotFound) {
			continue // Fairlead itself
		}
		if err != nil {
			return err
		}
		if p.Kind != principal.Robot {
			continue
		}
		keepers, err := s.people.Keepers(ctx, tx, p.ID, actor.at.Add(-slack))
		if err != nil {
			return err
		}
		for _, id := range keepers {
			add(id, "made a token of "+p.Name+", which "+actor.why)
		}
	}
	return nil
}

// mostMails is how often in an hour people are told that one subject needs an
// approval: who asks and cancels in turn fills nobody's mailbox. Webhooks and
// lists have all of them.
const mostMails = 10

// open asks people.
func (s *Service) open(ctx context.Context, tx *sqldb.Tx, a Approval, within time.Duration) (gate.Answer, error) {
	if within <= 0 {
		within = defaultWithin
	}
	a.ID, a.Status, a.CreatedAt, a.ExpiresAt = ident.New("apr"), Pending, tx.Now(), tx.Now().Add(within)
	who, to, err := s.wanted(ctx, tx, a)
	if err != nil {
		return gate.Answer{}, err
	}
	if lately, err := s.store.lately(ctx, tx, a.Kind, a.SubjectID, a.CreatedAt.Add(-time.Hour)); err != nil {
		return gate.Answer{}, err
	} else if lately >= mostMails {
		to = nil
	}
	fresh, err := s.store.insert(ctx, tx, a)
	if err != nil {
		return gate.Answer{}, err
	}
	if !fresh { // another transaction asked first; it is committed, and seen next time
		return gate.Answer{}, fault.New(fault.Unavailable, "store_unavailable", "somebody else asked for the same approval just now").
			WithHint("try again").WithRetryAfter(1)
	}
	audit.Append(ctx, tx, audit.Entry{Action: "approval:request", Target: a.Target(), Details: map[string]any{
		"subject": a.SubjectID, "run": a.RunID, "digest": a.Digest, "parts": a.Parts, "who": who, "requestedBy": a.RequestedBy, "barred": a.Barred}})
	if err := s.emit(ctx, tx, "approval.requested", a, to, map[string]any{"who": who, "expires": a.ExpiresAt.Format(time.RFC3339)}); err != nil {
		return gate.Answer{}, err
	}
	return gate.Answer{Approval: a.ID, Status: string(Pending), Who: who, Until: a.ExpiresAt}, nil
}

// found answers from an approval that is for exactly what is asked.
func (s *Service) found(ctx context.Context, tx *sqldb.Tx, a Approval, needs []Need, within time.Duration) (gate.Answer, error) {
	var err error
	if a.Votes, err = s.store.votes(ctx, tx, a.ID); err != nil {
		return gate.Answer{}, err
	}
	if a.Status == Pending && !tx.Now().Before(a.ExpiresAt) {
		if err := s.expire(ctx, tx, &a); err != nil {
			return gate.Answer{}, err
		}
	}
	if a.Status == Pending || a.Status == Approved {
		if err := s.reconsider(ctx, tx, &a, needs, within); err != nil {
			return gate.Answer{}, err
		}
	}
	answer := gate.Answer{Approval: a.ID, Status: string(a.Status)}
	switch a.Status {
	case Pending:
		answer.Until = a.ExpiresAt
		answer.Who, _, err = s.wanted(ctx, tx, a)
	case Approved, Bypassed:
		answer.By, answer.Comment = a.Decider, a.Reason
		if a.PassedAt.IsZero() {
			_, err = tx.ExecContext(ctx, `UPDATE approvals SET passed_at = $2 WHERE id = $1`, a.ID, tx.Now().UnixMicro())
		}
	case Rejected:
		answer.By = a.Decider
		for _, v := range a.Votes {
			if v.Decision == Reject {
				answer.Comment = v.Comment
			}
		}
	}
	return answer, err
}

// reconsider counts again who agreed: the needs may have changed under the
// same binding, and voters may have lost what they voted by.
func (s *Service) reconsider(ctx context.Context, tx *sqldb.Tx, a *Approval, needs []Need, within time.Duration) error {
	changed := !sameNeeds(a.Needs, needs)
	if changed {
		a.Needs = needs
		if err := s.store.setNeeds(ctx, tx, *a); err != nil {
			return err
		}
	}
	enough, err := s.tally(ctx, tx, a)
	switch {
	case err != nil:
		return err
	case enough && a.Status == Pending:
		last := a.Votes[len(a.Votes)-1]
		a.Status, a.DecidedAt, a.DecidedBy, a.Decider = Approved, tx.Now(), last.VoterID, last.Voter
		if err := s.store.end(ctx, tx, *a); err != nil {
			return err
		}
		return s.emit(ctx, tx, "approval.approved", *a, []string{a.RequestedBy}, nil)
	case !enough && a.Status == Approved:
		return s.reopen(ctx, tx, a, within)
	}
	return nil
}

// reopen asks again where those who agreed could no longer.
func (s *Service) reopen(ctx context.Context, tx *sqldb.Tx, a *Approval, within time.Duration) error {
	if within <= 0 {
		within = defaultWithin
	}
	a.Status, a.DecidedAt, a.DecidedBy, a.Decider, a.ExpiresAt = Pending, time.Time{}, "", "", tx.Now().Add(within)
	if err := s.store.end(ctx, tx, *a); err != nil {
		return err
	}
	who, to, err := s.wanted(ctx, tx, *a)
	if err != nil {
		return err
	}
	audit.Append(ctx, tx, audit.Entry{Action: "approval:reopen", Target: a.Target(), Details: map[string]any{
		"why": "the votes that were given are no longer enough", "who": who}})
	return s.emit(ctx, tx, "approval.requested", *a, to, map[string]any{"who": who, "again": true, "expires": a.ExpiresAt.Format(time.RFC3339)})
}

// Void ends what is open for a resource.
func (s *Service) Void(ctx context.Context, tx *sqldb.Tx, resourceID, reason string) error {
	living, err := s.store.living(ctx, tx, KindResource, resourceID, "", "")
	if err != nil {
		return err
	}
	return s.void(ctx, tx, living, Approval{}, reason)
}

// void ends all that is open or approved of a list but the one that is kept:
// what is wanted now. What was used already is history, unless the same run
// wants something else by now.
func (s *Service) void(ctx context.Context, tx *sqldb.Tx, list []Approval, keep Approval, reason string) error {
	for _, a := range list {
		used := a.Status == Approved && !a.PassedAt.IsZero() && (keep.Parts == nil || a.RunID != keep.RunID)
		if a.ID == keep.ID || used || a.Status != Pending && a.Status != Approved {
			continue
		}
		a.Reason = reason
		if changed := keep.Parts.Changed(a.Parts); keep.Parts != nil && len(changed) > 0 {
			a.Reason = gate.Sentence(changed)
			for _, part := range changed {
				a.Changed = append(a.Changed, Change{part, a.Parts[part], keep.Parts[part]})
			}
		}
		a.Status, a.DecidedAt = Void, tx.Now()
		if err := s.store.end(ctx, tx, a); err != nil {
			return err
		}
		votes, err := s.store.votes(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		to := []string{a.RequestedBy}
		for _, v := range votes {
			to = append(to, v.VoterID)
		}
		audit.Append(ctx, tx, audit.Entry{Action: "approval:void", Target: a.Target(), Details: map[string]any{
			"reason": a.Reason, "changed": a.Changed, "digest": a.Digest}})
		if err := s.emit(ctx, tx, "approval.voided", a, to, map[string]any{"reason": a.Reason}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) emit(ctx context.Context, tx *sqldb.Tx, kind string, a Approval, to []string, more map[string]any) error {
	tx.Notify(Topic, "")
	data := map[string]any{"approval": a.ID, "kind": a.Kind, "title": a.Title, "action": a.Action, "run": a.RunID, "status": string(a.Status),
		"project": a.Project, "environment": a.Environment, "by": a.Requester, "summary": a.Summary()}
	if a.Kind == KindResource {
		data["resource"] = a.Title
	}
	maps.Copy(data, more)
	to = slices.DeleteFunc(slices.Clone(to), func(id string) bool { return id == principal.System.ID })
	slices.Sort(to)
	return event.Emit(ctx, tx, event.Event{Type: kind, Subject: a.ID, TeamID: a.TeamID, ProjectID: a.ProjectID, EnvironmentID: a.EnvironmentID,
		To: slices.Compact(to), Data: data})
}

// Summary says in a line what is to be agreed to.
func (a Approval) Summary() string {
	what := a.Action + " " + a.Title
	if a.Environment != "" {
		what += " in " + a.Project + "/" + a.Environment
	}
	if a.Template != "" {
		what += " (" + a.Template + " " + a.TemplateVersion + ")"
	}
	return what
}
