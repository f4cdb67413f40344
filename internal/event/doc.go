// Package event is what happened, for whoever wants to know: written in the
// same transaction as the change itself, so that there is no event without the
// change and no change without the event, and read from the table by those who
// tell others (webhooks, e-mail) or show it live.
//
// Readers follow positions, not ids: transactions that run side by side commit
// in another order than they made their ids in, and a reader that had gone past
// the larger id would never see the smaller. A position is given after the
// commit, by one writer at a time, and is never given twice.
package event
