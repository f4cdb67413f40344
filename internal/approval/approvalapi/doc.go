// Package approvalapi is the API of approvals and of delegations.
package approvalapi
