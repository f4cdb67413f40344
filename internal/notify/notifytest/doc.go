// Package notifytest holds what a receiver of webhooks needs, as docs/webhooks.md
// shows it, for tests of those who send them.
package notifytest
