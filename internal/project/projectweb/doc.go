// Package projectweb is the pages about where things are: the home page, which
// shows what is one's own and what waits for one; projects; environments.
package projectweb
