package gate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Judge asks every gate about f and gives all that they have to say. It
// writes nothing. At the plan it also asks again what was asked of the
// request: guardrails, roles and the hour may have changed since. A worker
// leaves f.Action empty; who asked for what is taken from the record then, and
// what nobody asked for is Keep.
func (s *Service) Judge(ctx context.Context, f Facts) (Judgement, error) {
	if f.Action == "" || f.Action == Update && f.RunID != "" && f.Principal.ID == "" {
		if err := s.recall(ctx, &f); err != nil {
			return Judgement{}, err
		}
	}
	if f.RunID == "" { // workers are bounded by their number
		end, err := s.turns.take(ctx, f.Principal.ID)
		if err != nil {
			return Judgement{}, err
		}
		defer end()
	}
	var verdicts []Verdict
	if err := s.complete(ctx, &f, &verdicts); err != nil {
		return Judgement{}, err
	}
	if s.Rollouts != nil {
		said, err := s.Rollouts.Verdicts(ctx, f)
		if err != nil {
			return Judgement{}, fmt.Errorf("rollouts: %w", err)
		}
		verdicts = append(verdicts, said...)
	}
	j := Judgement{At: f.Now}
	var err error
	for _, stage := range stages(f) {
		asked := f
		asked.Stage = stage
		said, policy, err := s.Rules.Evaluate(ctx, asked)
		if err != nil {
			return Judgement{}, fmt.Errorf("guardrails: %w", err)
		}
		verdicts, j.Policy = append(verdicts, said...), policy
	}
	j.Facts, j.Verdicts = f, verdicts
	// Written here, for the writer that records it has all the others' to do.
	if j.document, err = written(f); err != nil {
		return Judgement{}, err
	}
	return j, nil
}

func stages(f Facts) []Stage {
	if f.Stage == Plan && f.Action != Keep {
		return []Stage{Request, Plan}
	}
	return []Stage{f.Stage}
}

// complete fills in what the gates know and f's author does not.
func (s *Service) complete(ctx context.Context, f *Facts, verdicts *[]Verdict) error {
	var err error
	if f.Now.IsZero() {
		if f.Now, err = s.DB.About(ctx); err != nil {
			return err
		}
	}
	if f.Window, err = s.Calendar.Window(ctx, *f); err != nil {
		return fmt.Errorf("calendar: %w", err)
	}
	admitted := f.RunID != ""               // what it takes is reserved already
	counted := admitted && !f.settlesAnew() // and is what was known then
	if f.Window.Closed && !admitted {
		*verdicts = append(*verdicts, windowVerdict(f.Window))
	}
	if f.Action == Destroy {
		return nil
	}
	if said := f.Template.Deprecated; said != "" && !admitted && f.Action != Keep {
		*verdicts = append(*verdicts, Verdict{Source: "template", Rule: f.Template.Name + "@" + f.Template.Version, Strength: Advise, Message: said, Remedy: f.Template.Instead})
	}
	if need := f.Template.Approval; need != nil && f.Action != Keep {
		*verdicts = append(*verdicts, Verdict{Source: "template", Rule: f.Template.Name + "@" + f.Template.Version, Strength: Approve, Need: need,
			Message: "the template " + f.Template.Name + " asks for an approval"})
	}
	var said []Verdict
	if f.Lease, said, err = s.Leases.Check(ctx, *f); err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	if !admitted {
		*verdicts = append(*verdicts, said...)
	}
	if f.Cost, err = s.Prices.Estimate(ctx, *f); err != nil {
		return fmt.Errorf("cost: %w", err)
	}
	if f.Usage, err = s.Limits.Usage(ctx, *f); err != nil {
		return fmt.Errorf("quotas: %w", err)
	}
	if !counted {
		*verdicts = append(*verdicts, limitVerdicts(f.Usage, f.Cost.Currency)...)
	}
	return nil
}

// Together judges requests that are granted together or not at all: each
// counts with what those before it would take, and is denied where a limit
// holds it alone but not all of them.
func Together(list []*Judgement) {
	taken := map[string]float64{}
	for _, j := range list {
		alone := limitVerdicts(j.Facts.Usage, j.Facts.Cost.Currency)
		shifted := slices.Clone(j.Facts.Usage)
		for i, u := range j.Facts.Usage {
			shifted[i].Used += taken[u.Limit]
			taken[u.Limit] += u.Wanted - u.Held
		}
		for _, v := range limitVerdicts(shifted, j.Facts.Cost.Currency) {
			refused := slices.ContainsFunc(alone, func(a Verdict) bool { return a.Rule == v.Rule && a.Strength == Deny })
			if v.Strength == Deny && !refused {
				v.Message += ", together with what else is asked for"
				j.Verdicts = append(j.Verdicts, v)
			}
		}
	}
}

// settlesAnew tells whether what is wanted may take more than was reserved when
// it was asked for, because references came to something.
func (f Facts) settlesAnew() bool { return f.Resolved && (f.Action == Create || f.Action == Update) }

func windowVerdict(w Window) Verdict {
	v := Verdict{Source: "window", Rule: w.Name, Strength: Advise, Message: join("changes wait now", w.Reason), Remedy: "it goes on by itself"}
	if !w.Until.IsZero() {
		v.Remedy = "it goes on by itself at " + w.Until.UTC().Format("2006-01-02 15:04 MST")
	}
	return v
}

// limitVerdicts says which limits a request would pass, and which it comes near.
func limitVerdicts(list []Use, currency string) []Verdict {
	var out []Verdict
	for _, u := range list {
		total := u.Used + u.Wanted
		v := Verdict{Source: "quota", Rule: u.Scope + " " + u.Name + ": " + u.Metric, Strength: Deny}
		unit := u.Metric
		if u.Metric == MonthlyCost {
			v.Source, unit = "budget", currency+" a month"
		}
		said := fmt.Sprintf("%s of %s %s would be used in the %s %s", number(total), number(u.Max), unit, u.Scope, u.Name)
		switch {
		case u.Wanted <= u.Held:
			continue
		case total > u.Max:
			v.Message, v.Remedy = said, "free something, ask for less, or ask whoever keeps the limits for more: fairlead quota ls"
			if !u.Enforce {
				v.Strength = Advise
			}
		case u.WarnAt > 0 && total >= u.WarnAt*u.Max:
			v.Strength, v.Message, v.Remedy = Advise, said, "see what uses it: fairlead quota ls"
		default:
			continue
		}
		out = append(out, v)
	}
	return out
}

// MonthlyCost is the metric of a budget; its unit is the price table's currency.
const MonthlyCost = "monthly_cost"

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// recall fills in who asked for what, as the record has it.
func (s *Service) recall(ctx context.Context, f *Facts) error {
	d, err := s.db.asked(ctx, f.ResourceID, f.Revision, f.RunKind == string(Destroy), f.Asked)
	if errors.Is(err, sql.ErrNoRows) {
		if f.Action == "" {
			f.Action = Keep
			return nil
		}
		f.Principal.ID = f.Author
		return nil
	}
	if err != nil {
		return err
	}
	f.Principal, f.Action, f.RequestID, f.Note, f.Asked = d.who, d.action, d.requestID, d.note, d.at
	switch { // what it changes may have been applied since it was asked for
	case f.Action == Destroy:
	case f.Before != nil:
		f.Action = Update
	default:
		f.Action = Create
	}
	return nil
}

// Refuse records a denial, with its audit record, and gives the fault that
// says so and how to read it up. Nothing else happens.
func (s *Service) Refuse(ctx context.Context, j Judgement) error {
	// What was refused is not done: it claims no Idempotency-Key, and whoever
	// lost the reply and asks again is judged again.
	err := s.DB.Write(sqldb.WithPrelude(ctx, nil), "gate.refuse", func(tx *sqldb.Tx) error {
		var err error
		if j.ID, err = s.db.insert(ctx, tx, j, j.Facts.ResourceID, j.Facts.RunID); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "gate:deny", Target: j.Facts.Target(), Decision: refusal(j),
			Details: map[string]any{"decision": j.ID, "stage": j.Facts.Stage, "wanted": j.Facts.Action, "verdicts": sentences(j.With(Deny)), "guardrails": j.Policy}})
		return event.Emit(ctx, tx, s.happened("request.denied", j, map[string]any{"decision": j.ID, "verdicts": sentences(j.With(Deny))}))
	})
	if err != nil {
		return err
	}
	return j.Err()
}

// Admit takes what a request was judged fit for, in the transaction that
// writes it: quota and budget are reserved, its lease begins, the judgement is
// recorded under the run.
func (s *Service) Admit(ctx context.Context, tx *sqldb.Tx, j Judgement, resourceID, runID string) (decision string, err error) {
	f := j.Facts
	f.ResourceID, f.RunID = resourceID, runID
	if f.Action != Destroy {
		if err := s.Limits.Reserve(ctx, tx, f); err != nil {
			return "", err
		}
		if err := s.Leases.Begin(ctx, tx, f); err != nil {
			return "", err
		}
	}
	return s.db.insert(ctx, tx, j, resourceID, runID)
}

// Pass is whether a run may go on now.
type Pass struct {
	Go      bool
	Reason  string // code of why it waits
	Message string
	Hint    string
	Until   time.Time // look again then; zero: when woken
	Refused error     // it will never go on: rejected or expired
}

// Pass settles whether a planned run may go on, in the fenced transaction that
// lets it: the approvals that it needs are asked for, found or voided; a
// closed change window holds it. b is what an approval is bound to; the cost
// and the guardrails are added here.
func (s *Service) Pass(ctx context.Context, tx *sqldb.Tx, j Judgement, b Binding) (Pass, error) {
	f := j.Facts
	bound := Binding{PartPolicy: j.Policy}
	for k, v := range b {
		bound[k] = v
	}
	var err error
	if bound[PartCost], err = Bind(f.Cost.document()); err != nil {
		return Pass{}, err
	}
	a, err := s.Approvals.Settle(ctx, tx, Ask{Facts: f, Verdicts: j.With(Approve), Binding: bound})
	if err != nil {
		return Pass{}, err
	}
	p := Pass{}
	switch a.Status {
	case "pending":
		p.Reason, p.Until = "awaiting_approval", a.Until
		p.Message = join("waits for approval "+a.Approval, a.Who)
		p.Hint = "whoever may decide: fairlead approvals approve " + a.Approval
		return p, nil
	case "rejected":
		p.Refused = fault.New(fault.Denied, "approval_rejected", "%s", join("the approval was rejected by "+a.By, a.Comment)).
			WithHint("change the request, or ask again: fairlead retry %s -e %s/%s", f.Resource, f.Environment.Project, f.Environment.Name)
		return p, nil
	case "expired":
		p.Refused = fault.New(fault.Denied, "approval_expired", "nobody decided on the approval in time").
			WithHint("ask again: fairlead retry %s -e %s/%s", f.Resource, f.Environment.Project, f.Environment.Name)
		return p, nil
	}
	if f.Window.Closed && a.Status != "bypassed" {
		p.Reason, p.Message, p.Until = "change_window", join("waits: "+f.Window.Name, f.Window.Reason), f.Window.Until
		p.Hint = windowVerdict(f.Window).Remedy
		return p, nil
	}
	if f.settlesAnew() {
		if err := s.Limits.Reserve(ctx, tx, f); err != nil {
			return Pass{}, err
		}
	}
	if f.Action != Destroy && (!f.First || !f.Cost.Unpriced) {
		if err := s.Prices.Meter(ctx, tx, f, &f.Cost); err != nil {
			return Pass{}, err
		}
	}
	// Where nobody had anything to say, the record of the request says it all;
	// its plan is the run's.
	if j.Policy != "" || len(j.Verdicts) > 0 {
		if _, err = s.db.insert(ctx, tx, j, f.ResourceID, f.RunID); err != nil {
			return Pass{}, err
		}
	}
	p.Go = true
	return p, nil
}

// Ending is why something needs its gates no more.
type Ending string

// The endings. All but Gone only withdraw what is asked for.
const (
	Gone     Ending = "the resource is gone"
	Canceled Ending = "the run was canceled"
)

// Release gives back what a resource had taken, or only withdraws what it
// asks for.
func (s *Service) Release(ctx context.Context, tx *sqldb.Tx, f Facts, why Ending) error {
	if err := s.Approvals.Void(ctx, tx, f.ResourceID, string(why)); err != nil || why != Gone {
		return err
	}
	if err := s.Limits.Release(ctx, tx, f.ResourceID); err != nil {
		return err
	}
	if err := s.Prices.Meter(ctx, tx, f, nil); err != nil {
		return err
	}
	return s.Leases.End(ctx, tx, f.ResourceID)
}

func (s *Service) happened(kind string, j Judgement, data map[string]any) event.Event {
	f := j.Facts
	data["resource"], data["environment"], data["project"], data["by"] = f.Resource, f.Environment.Name, f.Environment.Project, f.Principal.Name
	return event.Event{Type: kind, Subject: f.ResourceID, TeamID: f.Environment.TeamID, ProjectID: f.Environment.ProjectID,
		EnvironmentID: f.Environment.ID, To: []string{f.Principal.ID}, Data: data}
}

func sentences(list []Verdict) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = strings.TrimPrefix(v.Rule+": "+v.Message, ": ")
	}
	return out
}
