package regex

import (
	"regexp"
	"sync"
)

// Late gives the expression, compiled at its first call. One that cannot be
// compiled panics then; archtest compiles all that the program has.
func Late(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
