// Package templatetest makes templates and engines for tests.
package templatetest
