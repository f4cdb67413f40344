// Package event is what happened, for whoever wants to know: written in the
// same transaction as the change itself, so that there is no event without the
// change and no change without the event, and read from the table by those who
// tell others (webhooks, e-mail) or show it live.
package event
