package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"fairlead/internal/apiclient"
)

type environment struct{ server }

type environmentModel struct {
	ID         types.String `tfsdk:"id"`
	Name       types.String `tfsdk:"name"`
	Project    types.String `tfsdk:"project"`
	Class      types.String `tfsdk:"class"`
	Title      types.String `tfsdk:"title"`
	Attributes types.Map    `tfsdk:"attributes"`
}

func (m *environmentModel) take(ctx context.Context, e apiclient.Environment, d *diag.Diagnostics) {
	m.ID, m.Name, m.Title, m.Class = types.StringValue(e.ID), types.StringValue(e.Name), types.StringValue(e.Title), types.StringValue(string(e.Class))
	if m.Project.ValueString() != e.ProjectID { // it may be named by either
		m.Project = types.StringValue(e.Project)
	}
	m.Attributes = attributes(ctx, m.Attributes, e.Attributes, d)
}

func (*environment) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "fairlead_environment"
}

func (*environment) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	r.Schema = common("An environment of a project: where resources live.", map[string]schema.Attribute{
		"project": schema.StringAttribute{Required: true, PlanModifiers: again, Description: "Its project: name or id."},
		"class":   schema.StringAttribute{Required: true, Description: "development, staging or production: what is allowed depends on it."},
	})
}

func (x *environment) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m environmentModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	e, _, err := read[apiclient.Environment](x.CreateEnvironment(ctx, m.Project.ValueString(), apiclient.CreateEnvironmentRequest{
		Name: m.Name.ValueString(), Class: apiclient.CreateEnvironmentRequestClass(m.Class.ValueString()), Title: some(m.Title.ValueString()),
		Attributes: texts(ctx, m.Attributes, &r.Diagnostics),
	}))
	if err != nil {
		told(&r.Diagnostics, "The environment cannot be created", err)
		return
	}
	m.take(ctx, e, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *environment) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m environmentModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	e, _, err := read[apiclient.Environment](x.GetEnvironmentByID(ctx, m.ID.ValueString()))
	switch {
	case gone(err):
		r.State.RemoveResource(ctx)
	case err != nil:
		told(&r.Diagnostics, "The environment cannot be read", err)
	default:
		m.take(ctx, e, &r.Diagnostics)
		r.Diagnostics.Append(r.State.Set(ctx, &m)...)
	}
}

func (x *environment) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m environmentModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	name, title, class := m.Name.ValueString(), m.Title.ValueString(), apiclient.UpdateEnvironmentRequestClass(m.Class.ValueString())
	e, tag, err := read[apiclient.Environment](x.GetEnvironment(ctx, m.Project.ValueString(), m.ID.ValueString()))
	if err == nil {
		e, _, err = read[apiclient.Environment](x.UpdateEnvironment(ctx, e.ProjectID, e.ID, &apiclient.UpdateEnvironmentParams{IfMatch: some(tag)},
			apiclient.UpdateEnvironmentRequest{Name: &name, Title: &title, Class: &class, Attributes: texts(ctx, m.Attributes, &r.Diagnostics)}))
	}
	if err != nil {
		told(&r.Diagnostics, "The environment cannot be changed", err)
		return
	}
	m.take(ctx, e, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *environment) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var m environmentModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := done(x.DeleteEnvironment(ctx, m.Project.ValueString(), m.ID.ValueString(), &apiclient.DeleteEnvironmentParams{})); err != nil && !gone(err) {
		told(&r.Diagnostics, "The environment cannot be deleted", err)
	}
}

// ImportState takes PROJECT/NAME.
func (x *environment) ImportState(ctx context.Context, req resource.ImportStateRequest, r *resource.ImportStateResponse) {
	parts, err := split(req.ID, 2)
	if err != nil {
		r.Diagnostics.AddError("The environment cannot be imported", err.Error()+": PROJECT/ENVIRONMENT")
		return
	}
	e, _, err := read[apiclient.Environment](x.GetEnvironment(ctx, parts[0], parts[1]))
	if err != nil {
		told(&r.Diagnostics, "The environment cannot be imported", err)
		return
	}
	r.Diagnostics.Append(r.State.SetAttribute(ctx, path.Root("id"), e.ID)...)
}
