package docs

import _ "embed"

// Errors is errors.md: a table of every error code.
//
//go:embed errors.md
var Errors string
