package why

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/resource"
)

// chain is an explanation on its way.
type chain struct {
	s     *Service
	now   time.Time
	seen  map[string]bool
	links []Link
}

// maxDepth is how far references are followed.
const maxDepth = 8

func (c *chain) add(l Link) { c.links = append(c.links, l) }

// resource adds what there is to say about r; of is "" for the one in question.
func (c *chain) resource(ctx context.Context, r resource.Resource, of string) error {
	c.seen[r.ID] = true
	first := len(c.links)
	c.request(r)
	if err := c.gates(ctx, r); err != nil {
		return err
	}
	if err := c.state(ctx, r); err != nil {
		return err
	}
	c.drift(r)
	if err := c.rollout(ctx, r); err != nil {
		return err
	}
	if err := c.lease(ctx, r); err != nil {
		return err
	}
	for i := first; i < len(c.links); i++ {
		if c.links[i].Of == "" {
			c.links[i].Of = of
		}
	}
	return nil
}

func (c *chain) request(r resource.Resource) {
	c.add(Link{Kind: "request", State: Done, Since: r.CreatedAt,
		Text: fmt.Sprintf("%s asked for it, template %s %s; revision %d is wanted, %d is made", r.CreatedByName, r.Template, r.TemplateVersion, r.Revision, r.AppliedRevision)})
}

// gates adds what the gates said last, when it bears on how r is now.
func (c *chain) gates(ctx context.Context, r resource.Resource) error {
	d, ok, err := c.s.Decisions.Latest(ctx, r.ID)
	if err != nil || !ok {
		return err
	}
	if d.Outcome == "denied" && r.Reason != "guardrail_denied" && !strings.HasSuffix(r.Reason, "_exceeded") {
		return nil // an older refusal that came to nothing
	}
	for _, v := range d.Verdicts {
		l := Link{Kind: "gates", State: Done, Since: d.At, Ref: d.ID, Text: v.Rule + ": " + v.Message}
		switch v.Strength {
		case gate.Deny:
			l.State, l.Code, l.Who = Refused, "guardrail_denied", whoMends(r)
			if v.Remedy != "" {
				l.Text += "; " + v.Remedy
			}
			l.Next = []string{"fairlead why denied " + d.ID}
		case gate.Approve:
			l.Text = v.Rule + " asks for an approval: " + v.Message
		}
		c.add(l)
	}
	return nil
}

// state adds why r's phase is what it is.
func (c *chain) state(ctx context.Context, r resource.Resource) error {
	switch r.Phase {
	case resource.Ready:
		return c.ready(ctx, r)
	case resource.Waiting:
		return c.waiting(ctx, r)
	case resource.Destroying, resource.Releasing:
		return c.destroying(ctx, r)
	case resource.Destroyed:
		c.add(Link{Kind: "destroy", State: Done, Since: r.DestroyedAt, Text: "it was destroyed, looked for and not found"})
		return nil
	case resource.Released:
		c.add(Link{Kind: "release", State: Done, Since: r.DestroyedAt, Text: "it was let go of: what it made is where it was, and is not managed here any more"})
		return nil
	case resource.Failed, resource.Lost, resource.Canceled:
		return c.over(ctx, r)
	}
	return c.underWay(ctx, r)
}

func (c *chain) ready(ctx context.Context, r resource.Resource) error {
	l := Link{Kind: "observation", State: Done, Since: r.ObservedAt, Text: "it is as wanted; last looked at then"}
	if r.Reason != "" { // ready, but not all is well
		l.State, l.Code, l.Text, l.Next = Failing, r.Reason, r.Message, hint(r)
		l.Who = whoCan(r.Reason, r)
	}
	c.add(l)
	return nil
}

func (c *chain) waiting(ctx context.Context, r resource.Resource) error {
	switch r.Reason {
	case "awaiting_approval":
		a, ok, err := c.s.Approvals.Open(ctx, r.ID)
		if err != nil {
			return err
		}
		if ok {
			c.add(Link{Kind: "approval", State: Waiting, Code: r.Reason, Since: a.Since, Until: a.Until, Ref: a.ID, Who: a.Who, Text: "it waits for approval " + a.ID,
				Next: []string{"fairlead approvals show " + a.ID, "fairlead approvals approve " + a.ID, "fairlead approvals who " + a.ID}})
			return nil
		}
	case "change_window":
		c.add(Link{Kind: "window", State: Waiting, Code: r.Reason, Since: r.UpdatedAt, Text: r.Message, Who: "nobody needs to: " + r.Hint + "; whoever may change the calendar can open it sooner",
			Next: []string{"fairlead calendar ls"}})
		return nil
	case "waiting_for_reference":
		return c.references(ctx, r)
	}
	return c.underWay(ctx, r)
}

// references follows what r waits for to the one that holds it up.
func (c *chain) references(ctx context.Context, r resource.Resource) error {
	c.add(Link{Kind: "reference", State: Waiting, Code: r.Reason, Since: r.UpdatedAt, Text: r.Message, Who: "nobody needs to: it goes on by itself when they are ready"})
	to, _, err := c.s.Resources.EdgesByID(ctx, r.ID)
	if err != nil {
		return err
	}
	for _, ref := range to {
		if c.seen[ref.TargetID] || len(c.seen) > maxDepth {
			continue
		}
		target, err := c.s.Resources.ByID(ctx, ref.TargetID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if target.Phase == resource.Ready && target.AppliedRevision > 0 {
			continue
		}
		if err := c.resource(ctx, target, target.Name); err != nil {
			return err
		}
	}
	return nil
}

func (c *chain) destroying(ctx context.Context, r resource.Resource) error {
	c.add(Link{Kind: "destroy", State: Done, Since: r.DestroyWantedAt, Text: "its end was asked for"})
	if r.Reason == "waiting_for_referrers" {
		_, from, err := c.s.Resources.EdgesByID(ctx, r.ID)
		if err != nil {
			return err
		}
		names := []string{}
		for _, ref := range from {
			if !slices.Contains(names, ref.Resource) {
				names = append(names, ref.Resource)
			}
		}
		c.add(Link{Kind: "reference", State: Waiting, Code: r.Reason, Since: r.UpdatedAt, Text: "it waits until these are gone, which use it: " + strings.Join(names, ", "),
			Next: each("fairlead why ", names, " -e "+r.Project+"/"+r.Environment)})
		return nil
	}
	return c.underWay(ctx, r)
}

// underWay adds how it stands with a run that goes on by itself.
func (c *chain) underWay(ctx context.Context, r resource.Resource) error {
	turn, err := c.s.Resources.TurnByID(ctx, r.ID)
	if err != nil {
		return err
	}
	if r.Reason != "" {
		c.add(Link{Kind: kindOf(r.Reason), State: Failing, Code: r.Reason, Since: r.UpdatedAt, Text: r.Message, Ref: r.RunID, Who: whoCan(r.Reason, r), Next: hint(r)})
	}
	l := Link{Kind: "run", State: Waiting, Since: r.UpdatedAt, Ref: r.RunID, Next: []string{"fairlead logs " + place(r) + " -f"}}
	switch {
	case turn.Held:
		l.Text = "a worker is at it now"
	case turn.Attempts > 0 && !turn.Due.IsZero():
		l.Until = turn.Due
		l.Text = fmt.Sprintf("%d attempts failed; the next one comes by itself", turn.Attempts)
		l.Next = append(l.Next, "fairlead retry "+place(r))
	case turn.Due.IsZero():
		l.Text = "nothing is queued for it"
		l.Next = append(l.Next, "fairlead retry "+place(r))
	default:
		l.Text = fmt.Sprintf("it is queued; %d are due before it", turn.Ahead)
	}
	c.add(l)
	return nil
}

// over adds why a run that is over did not end well.
func (c *chain) over(ctx context.Context, r resource.Resource) error {
	l := Link{Kind: kindOf(r.Reason), State: Failing, Code: r.Reason, Since: r.UpdatedAt, Text: r.Message, Ref: r.RunID, Who: whoCan(r.Reason, r), Next: hint(r)}
	if strings.HasPrefix(r.Reason, "approval_") {
		l.Kind, l.State = "approval", Refused
	}
	if r.Reason == "guardrail_denied" {
		return nil // the gates have said it
	}
	if r.RunID != "" {
		run, err := c.s.Resources.Run(ctx, r.RunID)
		if err != nil {
			return err
		}
		if !run.FinishedAt.IsZero() {
			l.Since = run.FinishedAt
		}
		c.add(Link{Kind: "run", State: Done, Since: run.CreatedAt, Ref: run.ID, Text: fmt.Sprintf("run %d (%s) was asked for by %s and tried %d times", run.Number, run.Kind, run.RequestedByName, run.Attempts)})
	}
	l.Next = append(l.Next, "fairlead logs "+place(r))
	if r.Phase != resource.Lost {
		l.Next = append(l.Next, "fairlead retry "+place(r))
	}
	c.add(l)
	return nil
}

// causes say why something is not as wanted.
var causes = map[engine.Cause]string{
	engine.CauseNoise: "noise of the provider", engine.CausePerson: "somebody changed it", engine.CauseDeleted: "somebody deleted it",
	engine.CauseDesired: "something else is wanted than what was made",
}

func (c *chain) drift(r resource.Resource) {
	at := place(r)
	for _, d := range r.Drift {
		l := Link{Kind: "drift", State: Waiting, Since: r.ObservedAt, Text: fmt.Sprintf("%s of %s is %v, wanted is %v", d.Field, d.Address, d.Got, d.Want),
			Who: "nobody needs to: it is repaired by itself"}
		if cause := causes[d.Cause]; cause != "" {
			l.Text += ": " + cause
		}
		switch {
		case d.Severity == engine.Ignore:
			l.State, l.Who, l.Next = Done, "", nil
			l.Text += "; somebody said that this is fine"
		case r.Reason == "drift_asks", r.Reason == "repair_does_not_hold":
			l.Who = whoMends(r) + ": heal it, or say that it is fine"
			l.Next = []string{"fairlead drift heal " + at, "fairlead drift accept " + at + " --reason TEXT"}
		case d.Severity == engine.Alert:
			l.State, l.Who, l.Next = Failing, whoMends(r), []string{"fairlead drift show " + at, "fairlead drift heal " + at}
		}
		c.add(l)
	}
}

func (c *chain) lease(ctx context.Context, r resource.Resource) error {
	if !r.DestroyedAt.IsZero() {
		return nil
	}
	lease, ok, err := c.s.Leases.Of(ctx, r)
	if err != nil || !ok {
		return err
	}
	l := Link{Kind: "lease", State: Coming, Until: lease.Ends, Text: "the lease of the " + lease.Of + " ends, and it is destroyed then", Who: lease.Owner}
	if lease.Can != "" {
		l.Text += "; " + lease.Can
	}
	command, name := "fairlead lease extend ", place(r)
	if lease.Of != "resource" {
		name = "-e " + r.Project + "/" + r.Environment
	}
	if !lease.Ends.After(c.now) {
		command = "fairlead lease show "
		l.State, l.Text = Waiting, "the lease of the "+lease.Of+" has ended: it is being taken away"
	}
	if lease.Problem != "" {
		l.State = Failing
		l.Text = "the lease of the " + lease.Of + " has ended, and it could not be destroyed yet: " + lease.Problem + "; it is tried again by itself"
	}
	l.Next = []string{command + name}
	c.add(l)
	return nil
}

// hint gives the commands of what r says to do next, each fit to be pasted.
func hint(r resource.Resource) []string {
	const program = "fairlead "
	var out []string
	text := r.Pasted(r.Hint)
	for {
		_, rest, found := strings.Cut(text, program)
		if !found {
			return out
		}
		end := len(rest)
		for _, stop := range []string{",", ";", ")", "\n", ". ", " or ", " and ", " then "} {
			if i := strings.Index(rest, stop); i >= 0 {
				end = min(end, i)
			}
		}
		out = append(out, strings.TrimRight(program+rest[:end], " ."))
		text = rest[end:]
	}
}

func each(prefix string, names []string, suffix string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n + suffix
	}
	return out
}

func kindOf(code string) string {
	if code == "not_verified" || code == "still_there" {
		return "verify"
	}
	return "engine"
}

// platformCodes are the faults that people who ask for things cannot mend.
var platformCodes = []string{"engine_unavailable", "internal", "server_unavailable", "server_full", "server_too_old", "not_verified", "still_there"}

// whoCan says who can do something about a code.
func whoCan(code string, r resource.Resource) string {
	if slices.Contains(platformCodes, code) || strings.HasPrefix(code, "server_") || strings.HasPrefix(code, "store_") {
		return "the platform team"
	}
	return whoMends(r)
}

func whoMends(r resource.Resource) string { return "the team " + r.Team }

// place names r in a command that works wherever it is typed.
func place(r resource.Resource) string { return r.Name + " -e " + r.Project + "/" + r.Environment }
