// Package backupapi is the face that streams a backup. Restoring has none: it
// needs the server stopped.
package backupapi
