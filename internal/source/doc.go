// Package source is where templates come from: repositories and folders that
// are looked at now and then, or when they say so by a signed push. A tag that
// is a semantic version becomes a version of the template, once; it is taken in
// as package template takes anything in, with its tests.
//
// Everything in a source is a stranger's. A broken version is shown with what
// is wrong with it and never offered; a tag that moves is refused and told. A
// credential is sealed together with the origin that it is for, and given to
// no other.
package source
