// Package iactest finds the programs that tests of modules run, OpenTofu and
// Terraform, and the providers that are built for them.
package iactest
