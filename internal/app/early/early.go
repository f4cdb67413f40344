package early

import (
	"os"
	"runtime/debug"
)

// MostGarbage is how much there may be at a start, in per cent of what lives.
const MostGarbage = 400

// Usual is what GOGC says, or 100: in force again when a server has started.
// A command keeps MostGarbage, and has ended before that matters.
var Usual = func() int {
	if os.Getenv("GOGC") != "" { // somebody has decided
		usual := debug.SetGCPercent(MostGarbage)
		debug.SetGCPercent(usual)
		return usual
	}
	return debug.SetGCPercent(MostGarbage)
}()
