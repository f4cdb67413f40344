package docs

import "embed"

// Errors is errors.md: a table of every error code.
//
//go:embed errors.md
var Errors string

// Pages are the pages that the server shows.
//
//go:embed *.md
var Pages embed.FS

// Pictures are what the pages show, made by the browser's tests.
//
//go:embed pictures/*.webp
var Pictures embed.FS
