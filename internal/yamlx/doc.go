// Package yamlx reads YAML and JSON that strangers wrote: strictly, bounded,
// and with positions, so that each error names a line and a field.
//
// What comes out is JSON's data model: objects with string keys, lists,
// strings, booleans, null, and numbers as Number gives them. What JSON does not
// have is refused and not guessed at: anchors, aliases, merge keys, explicit
// tags, keys that are no strings, duplicate keys, infinities. Scalars follow
// YAML 1.2: "yes" and "on" are strings, and a number with a leading zero must
// be quoted or lose it.
package yamlx
