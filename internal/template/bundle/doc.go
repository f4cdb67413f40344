// Package bundle turns a template's folder into one canonical archive and
// back: the same files give the same bytes and so the same digest, whoever
// packs them, wherever and whenever.
//
// Archives come from strangers. Only regular files below allow-listed paths
// are taken; links, devices, dot names, paths that climb, names that collide
// on some file system, and whatever exceeds the bounds are refused. A bundle
// lives in memory and is read through fs.FS; nothing is ever unpacked to disk.
package bundle
