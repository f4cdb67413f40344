// Package approvalcli is the commands of approvals and delegations.
package approvalcli
