// Package notify tells others what happened: programs by signed webhooks,
// people by e-mail.
//
// Events become deliveries in the transaction that marks them as read; a
// delivery is claimed with a lease and a fence, sent, and its outcome written.
// A server that dies in between sends it again under the same id: at least
// once, and the receiver drops doubles by webhook-id. A receiver that is down
// holds up nobody but itself.
package notify
