// Package audittest gives tests an audit log, and what it holds.
package audittest
