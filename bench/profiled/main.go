// Command profiled is the server with a CPU profile around it, written to the
// file in FAIRLEAD_PROFILE when it ends. `bench -profile DIR` runs it.
package main

import (
	"os"
	"runtime/pprof"

	"fairlead/internal/app"
)

func main() {
	f, err := os.Create(os.Getenv("FAIRLEAD_PROFILE"))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		panic(err)
	}
	code := app.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	pprof.StopCPUProfile()
	os.Exit(code)
}
