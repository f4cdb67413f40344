// Package templates holds the templates that Fairlead ships, one folder each.
// They are pushed at start like anyone's; a changed one needs a new version.
package templates

import "embed"

// FS has one template a folder.
//
//go:embed postgres null
var FS embed.FS
