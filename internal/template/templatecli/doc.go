// Package templatecli is the commands of templates: pushing a folder, listing,
// showing, and running a template's own tests.
package templatecli
