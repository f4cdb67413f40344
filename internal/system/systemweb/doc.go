// Package systemweb is the pages about the installation: whether all is well,
// the queue, engines, suspects, the configuration in force and backups.
package systemweb
