package templates

import "embed"

// FS has one template a folder.
//
//go:embed postgres null
var FS embed.FS
