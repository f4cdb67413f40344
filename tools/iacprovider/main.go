// Command iacprovider is the provider that the tests of the iac engine run
// against: passwords, and files that stand for what a cloud would hold.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

func main() {
	err := providerserver.Serve(context.Background(), func() provider.Provider { return testing{} },
		providerserver.ServeOpts{Address: "fairlead.test/fairlead/testing"})
	if err != nil {
		log.Fatal(err)
	}
}

type testing struct{}

func (testing) Metadata(_ context.Context, _ provider.MetadataRequest, r *provider.MetadataResponse) {
	r.TypeName = "testing"
}

func (testing) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

func (testing) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}

func (testing) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (testing) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return file{} },
		func() resource.Resource { return password{} },
	}
}
