// Package templateapi is the templates' face on the API: push, list, show,
// docs, archive, and a test run that keeps nothing.
package templateapi
