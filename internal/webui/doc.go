// Package webui is what the pages of the portal stand on: the shell around
// them, the components they are made of, how they are mounted, live updates,
// errors and the assets that are embedded. It knows no feature; features' pages
// are in their own folders (projectweb, resourceweb, …) and are mounted on a
// Portal. docs/portal.md says how to add one.
package webui
