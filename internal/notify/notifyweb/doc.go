// Package notifyweb is the pages about who is told what happens: people by the
// bell and its page, programs by webhooks; and what became of each delivery.
package notifyweb
