package why

import (
	"context"
	"fmt"

	"fairlead/internal/resource"
	"fairlead/internal/rollout"
)

// rollout adds what keeps r at its version, and the rollout that is to change
// it or has.
func (c *chain) rollout(ctx context.Context, r resource.Resource) error {
	h, err := c.s.Rollouts.Holds(ctx, r)
	if err != nil {
		return err
	}
	if p := h.Pin; p != nil {
		c.add(Link{Kind: "pin", State: Done, Since: p.CreatedAt, Until: p.Until, Ref: p.ID, Who: p.CreatedByName,
			Text: "it is pinned at " + p.TemplateVersion + ", and no rollout changes it: " + p.Reason, Next: []string{"fairlead unpin " + place(r)}})
	}
	if p := h.Expired; p != nil {
		c.add(Link{Kind: "pin", State: Done, Since: p.Until, Ref: p.ID, Text: "its pin ran out: " + p.Reason})
	}
	for _, p := range h.Exempted {
		c.add(Link{Kind: "pin", State: Done, Since: p.CreatedAt, Until: p.Until, Ref: p.ID, Who: p.CreatedByName,
			Text: "it is exempted from rollout " + p.RolloutID + " to " + p.RolloutTo + ": " + p.Reason, Next: []string{"fairlead exempt " + place(r) + " --rollout " + p.RolloutID + " --end"}})
	}
	if h.Member != nil {
		c.add(memberLink(h))
	}
	return nil
}

func memberLink(h rollout.Hold) Link {
	m, ro := h.Member, h.Rollout
	show := "fairlead rollout show " + ro.ID
	l := Link{Kind: "rollout", State: Waiting, Since: m.UpdatedAt, Ref: ro.ID, Who: ro.CreatedByName, Next: []string{show}}
	head := fmt.Sprintf("rollout %s brings it from %s to %s", ro.ID, m.From, ro.To)
	switch m.State {
	case rollout.Pending:
		l.Text = fmt.Sprintf("%s; it waits for its turn in wave %d", head, m.Wave)
		if h.GroupName != "" {
			l.Text, l.Code = head+"; it waits for somebody to agree to group "+h.GroupName, "awaiting_approval"
			l.Who = "whoever may approve rollouts here (by default the approvers of the team)"
			l.Next = append(l.Next, fmt.Sprintf("fairlead rollout approve %s %d", ro.ID, m.Group))
		}
	case rollout.Applying, rollout.Upgraded:
		l.Text = head + "; it is being changed, or looked at after"
	case rollout.Backing:
		l.Text = head + "; that is being taken back"
	case rollout.Failed, rollout.Stuck:
		l.State, l.Code, l.Text = Failing, m.Reason, head+"; "+m.Message
	case rollout.Aside:
		l.State, l.Code, l.Text = Done, m.Reason, head+"; it was set aside: "+m.Message
	default:
		l.State, l.Text = Done, head+": "+string(m.State)
	}
	if m.Retried() {
		l.Code, l.Text = m.Reason, l.Text+"; "+m.Message
	}
	switch ro.State {
	case rollout.Halted:
		l.State, l.Code = Failing, ro.Reason
		l.Text += "; the rollout has halted: " + ro.Message
		l.Next = append(l.Next, "fairlead rollout resume "+ro.ID, "fairlead rollout rollback "+ro.ID)
	case rollout.Paused:
		l.Text += "; " + ro.Message
		l.Next = append(l.Next, "fairlead rollout resume "+ro.ID)
	}
	return l
}
