package notify

import "fairlead/internal/event"

// sentences are what mails say by type of event; the event's data, what it is
// about and when are added to each. A type without one is told by its name.
var sentences = map[string]sentence{
	event.ApprovalRequested:  {"your approval is asked for", "Something waits for you, or for others who may, to agree to it.", "fairlead approvals"},
	event.ApprovalApproved:   {"approved", "What you asked for was agreed to and goes ahead.", "fairlead why RESOURCE"},
	event.ApprovalRejected:   {"rejected", "What you asked for was not agreed to. Nothing was changed.", "fairlead why RESOURCE"},
	event.ApprovalExpired:    {"nobody answered in time", "Nobody agreed in time to what you asked for. Nothing was changed.", "ask again"},
	event.ApprovalVoided:     {"an approval does not hold any more", "What was to be agreed to has changed, so it is asked for anew.", "fairlead approvals"},
	event.ApprovalBypassed:   {"somebody went ahead without approval", "Break-glass was used. It is to be reviewed.", "fairlead approvals"},
	event.BudgetWarned:       {"a budget is nearly spent", "A budget is nearly spent, or spent.", "fairlead cost"},
	event.QuotaWarned:        {"a quota is nearly used up", "A quota is nearly used up.", "fairlead quota"},
	event.ComplianceViolated: {"resources of your team offend guardrails", "They were made as it was allowed then, or changed since. Nothing is done to them; mend them when you can.", "fairlead policy compliance --team TEAM"},
	event.LeaseWarned:        {"it ends soon", "The lease ends soon; then it is destroyed.", "fairlead lease"},
	event.LeaseEnded:         {"its lease has ended", "The lease has ended. It is being destroyed.", ""},
	event.LeaseStuck:         {"it could not be destroyed yet", "The lease has ended, and it could not be destroyed. It is tried again.", "fairlead why RESOURCE"},
	event.RunFailed:          {"a run has failed", "A run has ended without what was wanted. The message says why.", "fairlead why RESOURCE"},
	event.DriftDetected:      {"it is not as wanted", "A resource is not as it is wanted any more. Nobody has to hurry unless the message says so.", "fairlead drift show RESOURCE"},
	event.RequestDenied:      {"a request was denied", "A request of yours was denied. Each reason says how to put it right.", "fairlead why denied REQUEST"},
}
