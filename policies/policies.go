package policies

import "embed"

// FS has one bundle a folder.
//
//go:embed baseline guard modules
var FS embed.FS
