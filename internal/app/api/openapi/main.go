// Command openapi prints the API's document as OpenAPI 3.0, for the generator
// of the client.
package main

import (
	"fmt"
	"os"

	"fairlead/internal/apidoc"
	"fairlead/internal/app/api"
)

func main() {
	doc, err := apidoc.JSON30(api.Describe("dev"))
	if err == nil {
		_, err = os.Stdout.Write(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
