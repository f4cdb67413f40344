package event

import (
	"cmp"
	"slices"
)

// Type is one type of event there is.
type Type struct {
	Name  string // noun.verb
	About string // when it happens, in a line
}

// Types that more than one package speaks of.
const (
	ApprovalRequested  = "approval.requested"
	ApprovalApproved   = "approval.approved"
	ApprovalRejected   = "approval.rejected"
	ApprovalExpired    = "approval.expired"
	ApprovalVoided     = "approval.voided"
	ApprovalBypassed   = "approval.bypassed"
	BudgetWarned       = "budget.warned"
	ComplianceCleared  = "compliance.cleared"
	ComplianceViolated = "compliance.violated"
	DriftDetected      = "drift.detected"
	LeaseEnded         = "lease.ended"
	LeaseStuck         = "lease.stuck"
	LeaseWarned        = "lease.warned"
	QuotaWarned        = "quota.warned"
	RequestDenied      = "request.denied"
	RunFailed          = "run.failed"
	WebhookPing        = "webhook.ping"
)

// catalogue is every type that is emitted. docs/events.md lists them, and a
// test keeps both in step; another finds what is emitted and not here.
var catalogue = []Type{
	{ApprovalRequested, "something waits for somebody to agree; it goes to those who may"},
	{"approval.voted", "one of several who are needed agreed"},
	{ApprovalApproved, "all who are needed agreed"},
	{ApprovalRejected, "somebody who was asked said no"},
	{ApprovalExpired, "nobody answered in time"},
	{ApprovalVoided, "what was agreed to, or to be agreed to, changed"},
	{ApprovalBypassed, "somebody went ahead without (break-glass)"},
	{"approval.reviewed", "what went ahead without was looked at"},
	{"approval.delegated", "somebody lets another answer for them"},
	{"approval.undelegated", "and does not any more"},
	{BudgetWarned, "a budget is nearly spent, or spent"},
	{ComplianceViolated, "resources of a team offend guardrails that they did not offend before; once a team and run"},
	{ComplianceCleared, "resources of a team do not offend guardrails any more; once a team and run"},
	{"calendar.changed", "a change window, freeze or schedule was set or removed"},
	{DriftDetected, "a resource is not as wanted; why, and what is done about it"},
	{"drift.held", "so much is not as wanted that repairs are held"},
	{"drift.released", "repairs go on: it is over, or a person released them"},
	{"drift.resolved", "what was not as wanted is over: healed, accepted, gone, changed or destroyed"},
	{"guardrail.activated", "other guardrails are in force"},
	{"lease.begun", "a resource or an environment has an end"},
	{LeaseWarned, "it ends soon"},
	{"lease.extended", "it may live longer"},
	{"lease.transferred", "somebody else owns the lease"},
	{"lease.set", "the end was set or taken away by who may"},
	{LeaseEnded, "its time is up: it is destroyed"},
	{LeaseStuck, "its time is up, and it could not be destroyed yet"},
	{"lease.proved", "it was looked for after it was destroyed, and is gone"},
	{"prices.applied", "all that lives is priced by the price table in force"},
	{"pin.set", "a resource is kept at its version, or out of a rollout"},
	{"pin.ended", "somebody let it go"},
	{"pin.expired", "its time is over, and rollouts may change it again"},
	{"prices.changed", "another price table is in force"},
	{"quota.changed", "a quota or a budget was set or removed"},
	{QuotaWarned, "a quota is nearly used up"},
	{"resource.ejected", "somebody took a resource's files along; its data says whether with secrets"},
	{"resource.release_requested", "a resource is to be let go of"},
	{"resource.released", "it was: nothing of it is managed here any more, and all of it is where it was"},
	{"resource.adoption_requested", "what exists already is to be taken over"},
	{"resource.adopted", "it was, and is as it is wanted"},
	{RequestDenied, "a request was refused by guardrails, quotas or budgets"},
	{"rollout.planned", "every member of a rollout is planned, and equal diffs are grouped"},
	{"rollout.started", "a rollout begins to change its members"},
	{"rollout.waiting", "a rollout waits for somebody to agree to what it would destroy"},
	{"rollout.halted", "a rollout stopped by itself"},
	{"rollout.finished", "a rollout is over: done, taken back, or canceled"},
	{RunFailed, "a run has ended without what was wanted"},
	{"state.rolledback", "an older version of a module's state is the current one again"},
	{"template.deprecated", "a version should not be used any more"},
	{"template.undeprecated", "it may be used again"},
	{"template.version_added", "a source has a new version"},
	{"template.version_broken", "a source has a version that cannot be taken in"},
	{"template.version_refused", "a source has other content for a version that is there; the version stays as it is"},
	{"template.source_added", "a template's versions come from a source"},
	{"template.source_changed", "a source leads elsewhere, or is looked at otherwise"},
	{"template.source_removed", "and come from none any more; those that came stay"},
	{"template.tag_moved", "a tag that was taken in leads elsewhere: it is not followed"},
	{"template.tag_restored", "and leads where it did again"},
	{WebhookPing, "somebody tries a webhook; it goes to that one alone"},
}

// Catalogue lists the types there are, sorted by name.
func Catalogue() []Type {
	out := slices.Clone(catalogue)
	slices.SortFunc(out, func(a, b Type) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
