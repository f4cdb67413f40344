// Package approvalweb is the inbox of what waits for somebody to agree, and
// the page with all that it takes to decide.
package approvalweb
