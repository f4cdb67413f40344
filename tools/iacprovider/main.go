// Command iacprovider is the provider that the tests of the iac engine run
// against, and the shipped templates are shown with: passwords, files that stand
// for what a cloud would hold, and PostgreSQL's roles and databases.
package main

import (
	"context"
	"log"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
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

func (testing) Schema(_ context.Context, _ provider.SchemaRequest, r *provider.SchemaResponse) {
	r.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"url": schema.StringAttribute{Optional: true, Sensitive: true, Description: "Administrator's URL of a PostgreSQL server; TESTING_POSTGRES_URL when absent"},
	}}
}

func (testing) Configure(ctx context.Context, req provider.ConfigureRequest, r *provider.ConfigureResponse) {
	var c struct {
		URL types.String `tfsdk:"url"`
	}
	if r.Diagnostics.Append(req.Config.Get(ctx, &c)...); r.Diagnostics.HasError() {
		return
	}
	url := c.URL.ValueString()
	if url == "" {
		url = os.Getenv("TESTING_POSTGRES_URL")
	}
	r.ResourceData = &server{url: url}
}

func (testing) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (testing) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return file{} },
		func() resource.Resource { return password{} },
		func() resource.Resource { return &role{} },
		func() resource.Resource { return &database{} },
	}
}
