package event

import "slices"

// Type is one type of event there is.
type Type struct {
	Name  string // noun.verb
	About string // when it happens, in a line
}

// The types that are emitted. docs/events.md lists them; a test keeps both in
// step, and another finds what is emitted without being here.
const (
	RequestDenied = "request.denied"
	WebhookPing   = "webhook.ping"
)

var catalogue = []Type{
	{RequestDenied, "a request was refused by guardrails, quotas or budgets"},
	{WebhookPing, "somebody tries a webhook; it goes to that one alone"},
}

// Catalogue lists the types there are, sorted by name.
func Catalogue() []Type {
	out := slices.Clone(catalogue)
	slices.SortFunc(out, func(a, b Type) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}
