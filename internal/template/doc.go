// Package template holds the golden paths: what developers may ask for, which
// inputs it takes, what it gives, and which engine makes it real.
//
// A template is a folder with template.yaml, the engine's files, docs and
// tests. It is pushed as an archive (package bundle) and becomes a Version:
// named by a semantic version, identified by the digest of its canonical
// archive, and immutable. Other content under the same version is refused.
//
// Everything about it comes from strangers. Rendering knows one operation,
// putting a value in the place of "${{ inputs.name }}": there is no code, no
// file and no network to reach. Schemas load nothing from elsewhere, do not
// recurse, and are bounded in what one validation can cost.
package template
