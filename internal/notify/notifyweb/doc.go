// Package notifyweb is the pages about webhooks: who is told what happens, and
// what became of each delivery.
package notifyweb
