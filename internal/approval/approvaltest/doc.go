// Package approvaltest gives tests an installation with a production
// environment, people around it, and a worker that asks for approvals.
package approvaltest
