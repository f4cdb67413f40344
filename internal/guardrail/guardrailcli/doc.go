// Package guardrailcli is the commands of guardrails: fairlead policy.
package guardrailcli
