package main

import (
	"context"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"fairlead/internal/apiclient"
	"fairlead/internal/redact"
)

// fairlead is the provider: one server, as one principal.
type fairlead struct{}

func (*fairlead) Metadata(_ context.Context, _ provider.MetadataRequest, r *provider.MetadataResponse) {
	r.TypeName, r.Version = "fairlead", version
}

func (*fairlead) Schema(_ context.Context, _ provider.SchemaRequest, r *provider.SchemaResponse) {
	r.Schema = schema.Schema{
		Description: "Asks a Fairlead server for teams, projects, environments and resources.",
		Attributes: map[string]schema.Attribute{
			"url":   schema.StringAttribute{Optional: true, Description: "The server's address, such as https://fairlead.example; FAIRLEAD_URL when absent."},
			"token": schema.StringAttribute{Optional: true, Sensitive: true, Description: "A token of a user or a robot; FAIRLEAD_TOKEN when absent. Better not written into a file."},
		},
	}
}

func (*fairlead) Configure(ctx context.Context, req provider.ConfigureRequest, r *provider.ConfigureResponse) {
	var c struct {
		URL   types.String `tfsdk:"url"`
		Token types.String `tfsdk:"token"`
	}
	if r.Diagnostics.Append(req.Config.Get(ctx, &c)...); r.Diagnostics.HasError() {
		return
	}
	pick := func(attribute, variable string, v types.String) string {
		text := v.ValueString()
		if text == "" {
			text = os.Getenv(variable)
		}
		switch {
		case v.IsUnknown():
			r.Diagnostics.AddAttributeError(path.Root(attribute), "Not known yet", "The "+attribute+" of the server must be known when the plan is made: give a value, or set "+variable+".")
		case text == "":
			r.Diagnostics.AddAttributeError(path.Root(attribute), "No "+attribute, "Set it in the provider block, or set "+variable+".")
		}
		return text
	}
	url, token := pick("url", "FAIRLEAD_URL", c.URL), pick("token", "FAIRLEAD_TOKEN", c.Token)
	if r.Diagnostics.HasError() {
		return
	}
	api, err := apiclient.New(apiclient.Options{URL: url, Token: redact.New(token), UserAgent: "terraform-provider-fairlead/" + version})
	if err != nil {
		told(&r.Diagnostics, "The server cannot be used", err)
		return
	}
	r.ResourceData, r.DataSourceData = api, api
}

func (*fairlead) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &team{} },
		func() resource.Resource { return &project{} },
		func() resource.Resource { return &environment{} },
		func() resource.Resource { return &thing{} },
		func() resource.Resource { return &template{} },
		func() resource.Resource { return &token{} },
	}
}

func (*fairlead) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &teamData{} },
		func() datasource.DataSource { return &projectData{} },
		func() datasource.DataSource { return &environmentData{} },
		func() datasource.DataSource { return &thingData{} },
		func() datasource.DataSource { return &templateData{} },
	}
}

// server is what each resource and data source has: the client.
type server struct{ *apiclient.API }

func (s *server) take(data any, d *diag.Diagnostics) {
	if data == nil {
		return // validation alone
	}
	api, ok := data.(*apiclient.API)
	if !ok {
		d.AddError("Unexpected provider data", "This is a defect of the provider; please report it.")
		return
	}
	s.API = api
}

// Configure implements resource.ResourceWithConfigure.
func (s *server) Configure(_ context.Context, req resource.ConfigureRequest, r *resource.ConfigureResponse) {
	s.take(req.ProviderData, &r.Diagnostics)
}

// reader is server for data sources, whose Configure is another.
type reader struct{ server }

// Configure implements datasource.DataSourceWithConfigure.
func (s *reader) Configure(_ context.Context, req datasource.ConfigureRequest, r *datasource.ConfigureResponse) {
	s.take(req.ProviderData, &r.Diagnostics)
}
