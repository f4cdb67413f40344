// Package gitrepo reads repositories with the git program: which tags there
// are, and which files a commit has. The program gets argument lists and never
// a shell's text, an environment and a configuration of our own and no other,
// one protocol, one address that was judged, and a folder that is thrown away.
// Nothing is ever checked out: files are read as objects, so that no link, no
// hook, no filter and no submodule of a stranger's comes to life.
package gitrepo
