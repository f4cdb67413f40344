package notify

import "fairlead/internal/event"

// sentences are the templates of mails by type of event; data and place are
// added to each.
var sentences = map[string]sentence{
	event.RequestDenied: {"a request was denied", "A request of yours was denied. Each reason says how to put it right.", "fairlead why denied REQUEST"},
}
