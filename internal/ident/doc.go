// Package ident makes identifiers and checks names: ids are ULIDs with a type
// prefix, so that a stray one tells what it is and ids sort by their age;
// names are what people type.
package ident
