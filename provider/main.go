// Command terraform-provider-fairlead is the provider with which OpenTofu and
// Terraform users ask Fairlead for what they need. docs/terraform-provider.md
// tells how it is used.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
)

// address is where configurations name it. It is served from a folder of
// providers, not from a registry.
const address = "fairlead.dev/fairlead/fairlead"

// version is set when it is built.
var version = "dev"

func main() {
	err := providerserver.Serve(context.Background(), func() provider.Provider { return &fairlead{} }, providerserver.ServeOpts{Address: address})
	if err != nil {
		log.Fatal(err)
	}
}
