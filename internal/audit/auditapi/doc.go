// Package auditapi is the audit log's face on the API: search, status,
// checkpoints, and the export that "fairlead audit verify" reads.
package auditapi
