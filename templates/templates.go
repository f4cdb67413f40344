package templates

import "embed"

// FS has one template a folder.
//
//go:embed postgres null postgres-module static-site environment-bundle
var FS embed.FS
