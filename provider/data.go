package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"fairlead/internal/apiclient"
)

// known are attributes that are read: those in keys are asked by, the rest is
// told.
func known(what string, keys []string, told ...string) schema.Schema {
	s := schema.Schema{Description: what, Attributes: map[string]schema.Attribute{}}
	for _, k := range told {
		s.Attributes[k] = schema.StringAttribute{Computed: true}
	}
	for _, k := range keys {
		s.Attributes[k] = schema.StringAttribute{Required: true, Description: "Name or id."}
	}
	return s
}

func withAttributes(s schema.Schema) schema.Schema {
	s.Attributes["attributes"] = schema.MapAttribute{ElementType: types.StringType, Computed: true}
	return s
}

func all(ctx context.Context, m map[string]string, d *diag.Diagnostics) types.Map {
	v, diags := types.MapValueFrom(ctx, types.StringType, m)
	d.Append(diags...)
	return v
}

type teamData struct{ reader }

func (*teamData) Metadata(_ context.Context, _ datasource.MetadataRequest, r *datasource.MetadataResponse) {
	r.TypeName = "fairlead_team"
}

func (*teamData) Schema(_ context.Context, _ datasource.SchemaRequest, r *datasource.SchemaResponse) {
	r.Schema = withAttributes(known("A team that is there.", []string{"name"}, "id", "title"))
}

func (x *teamData) Read(ctx context.Context, req datasource.ReadRequest, r *datasource.ReadResponse) {
	var m teamModel
	if r.Diagnostics.Append(req.Config.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	t, _, err := read[apiclient.Team](x.GetTeam(ctx, m.Name.ValueString()))
	if err != nil {
		told(&r.Diagnostics, "The team cannot be read", err)
		return
	}
	m.ID, m.Title, m.Attributes = types.StringValue(t.ID), types.StringValue(t.Title), all(ctx, t.Attributes, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

type projectData struct{ reader }

func (*projectData) Metadata(_ context.Context, _ datasource.MetadataRequest, r *datasource.MetadataResponse) {
	r.TypeName = "fairlead_project"
}

func (*projectData) Schema(_ context.Context, _ datasource.SchemaRequest, r *datasource.SchemaResponse) {
	r.Schema = withAttributes(known("A project that is there.", []string{"name"}, "id", "title", "team"))
}

func (x *projectData) Read(ctx context.Context, req datasource.ReadRequest, r *datasource.ReadResponse) {
	var m projectModel
	if r.Diagnostics.Append(req.Config.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	p, _, err := read[apiclient.Project](x.GetProject(ctx, m.Name.ValueString()))
	if err != nil {
		told(&r.Diagnostics, "The project cannot be read", err)
		return
	}
	m.ID, m.Title, m.Team, m.Attributes = types.StringValue(p.ID), types.StringValue(p.Title), types.StringValue(p.Team), all(ctx, p.Attributes, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

type environmentData struct{ reader }

func (*environmentData) Metadata(_ context.Context, _ datasource.MetadataRequest, r *datasource.MetadataResponse) {
	r.TypeName = "fairlead_environment"
}

func (*environmentData) Schema(_ context.Context, _ datasource.SchemaRequest, r *datasource.SchemaResponse) {
	r.Schema = withAttributes(known("An environment that is there.", []string{"project", "name"}, "id", "title", "class"))
}

func (x *environmentData) Read(ctx context.Context, req datasource.ReadRequest, r *datasource.ReadResponse) {
	var m environmentModel
	if r.Diagnostics.Append(req.Config.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	e, _, err := read[apiclient.Environment](x.GetEnvironment(ctx, m.Project.ValueString(), m.Name.ValueString()))
	if err != nil {
		told(&r.Diagnostics, "The environment cannot be read", err)
		return
	}
	m.ID, m.Title, m.Class, m.Attributes = types.StringValue(e.ID), types.StringValue(e.Title), types.StringValue(string(e.Class)), all(ctx, e.Attributes, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

type thingData struct{ reader }

type thingDataModel struct {
	ID              types.String  `tfsdk:"id"`
	Project         types.String  `tfsdk:"project"`
	Environment     types.String  `tfsdk:"environment"`
	Name            types.String  `tfsdk:"name"`
	Template        types.String  `tfsdk:"template"`
	TemplateVersion types.String  `tfsdk:"template_version"`
	Phase           types.String  `tfsdk:"phase"`
	Reveal          types.Bool    `tfsdk:"reveal"`
	Outputs         types.Dynamic `tfsdk:"outputs"`
	SecretOutputs   types.Map     `tfsdk:"secret_outputs"`
}

func (*thingData) Metadata(_ context.Context, _ datasource.MetadataRequest, r *datasource.MetadataResponse) {
	r.TypeName = "fairlead_resource"
}

func (*thingData) Schema(_ context.Context, _ datasource.SchemaRequest, r *datasource.SchemaResponse) {
	s := known("A resource that is there, with its outputs.", []string{"project", "environment", "name"}, "id", "template", "template_version", "phase")
	s.Attributes["reveal"] = schema.BoolAttribute{Optional: true, Description: "Read the secret outputs, too, at each refresh. It takes the right to, and is recorded in the audit log."}
	s.Attributes["outputs"] = schema.DynamicAttribute{Computed: true}
	s.Attributes["secret_outputs"] = schema.MapAttribute{ElementType: types.StringType, Computed: true, Sensitive: true}
	r.Schema = s
}

func (x *thingData) Read(ctx context.Context, req datasource.ReadRequest, r *datasource.ReadResponse) {
	var m thingDataModel
	if r.Diagnostics.Append(req.Config.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	seen, _, err := read[apiclient.Resource](x.GetResource(ctx, m.Project.ValueString(), m.Environment.ValueString(), m.Name.ValueString(), &apiclient.GetResourceParams{}))
	if err != nil {
		told(&r.Diagnostics, "The resource cannot be read", err)
		return
	}
	full := thingModel{Reveal: m.Reveal}
	full.take(seen, true)
	(&thing{x.server}).secrets(ctx, &full, seen, &r.Diagnostics)
	m.ID, m.Template, m.TemplateVersion, m.Phase = full.ID, full.Template, full.TemplateVersion, types.StringValue(string(seen.Phase))
	m.Outputs, m.SecretOutputs = full.Outputs, full.SecretOutputs
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

type templateData struct{ reader }

type templateDataModel struct {
	Name        types.String `tfsdk:"name"`
	Constraint  types.String `tfsdk:"constraint"`
	Version     types.String `tfsdk:"version"`
	Digest      types.String `tfsdk:"digest"`
	Engine      types.String `tfsdk:"engine"`
	Title       types.String `tfsdk:"title"`
	Description types.String `tfsdk:"description"`
}

func (*templateData) Metadata(_ context.Context, _ datasource.MetadataRequest, r *datasource.MetadataResponse) {
	r.TypeName = "fairlead_template"
}

func (*templateData) Schema(_ context.Context, _ datasource.SchemaRequest, r *datasource.SchemaResponse) {
	s := known("A template that is there, in its newest stable version or the newest that fits.", []string{"name"}, "version", "digest", "engine", "title", "description")
	s.Attributes["constraint"] = schema.StringAttribute{Optional: true, Description: "A range of versions, such as ^1.2."}
	r.Schema = s
}

func (x *templateData) Read(ctx context.Context, req datasource.ReadRequest, r *datasource.ReadResponse) {
	var m templateDataModel
	if r.Diagnostics.Append(req.Config.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	v, _, err := read[apiclient.TemplateVersion](x.GetTemplate(ctx, m.Name.ValueString(), &apiclient.GetTemplateParams{Version: some(m.Constraint.ValueString())}))
	if err != nil {
		told(&r.Diagnostics, "The template cannot be read", err)
		return
	}
	m.Version, m.Digest, m.Engine = types.StringValue(v.Version), types.StringValue(v.Digest), types.StringValue(v.Engine)
	m.Title, m.Description = types.StringValue(v.Title), types.StringValue(v.Description)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}
