// Package iacmodule reads an OpenTofu or Terraform module: which inputs it
// takes, as JSON Schema 2020-12; what it gives; which providers and versions it
// wants. It runs nothing, fetches nothing and evaluates no function: a module
// is a stranger's text. What a stranger could make large or deep is bounded
// before a parser that recurses sees it.
package iacmodule
