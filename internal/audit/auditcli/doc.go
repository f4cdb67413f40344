// Package auditcli is the commands of the audit log: searching and exporting
// it by the API, and verifying an export offline.
package auditcli
