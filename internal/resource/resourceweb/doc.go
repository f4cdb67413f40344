// Package resourceweb is the pages about resources: asking for one and
// changing it, with what that would do beside it; how one is and why; its
// runs, its revisions, its end.
package resourceweb
