package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"fairlead/internal/apiclient"
)

var (
	keep  = []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	again = []planmodifier.String{stringplanmodifier.RequiresReplace()}
)

// common are the attributes of every place. Names can change: the id stays.
func common(what string, more map[string]schema.Attribute) schema.Schema {
	s := schema.Schema{Description: what, Attributes: map[string]schema.Attribute{
		"id":         schema.StringAttribute{Computed: true, PlanModifiers: keep, Description: "The id, which stays when the name changes."},
		"name":       schema.StringAttribute{Required: true, Description: "Lower-case letters, digits and hyphens."},
		"title":      schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: keep, Description: "What people call it."},
		"attributes": schema.MapAttribute{ElementType: types.StringType, Optional: true, Description: "What policies and guardrails may look at."},
	}}
	for k, v := range more {
		s.Attributes[k] = v
	}
	return s
}

// texts reads a map of texts; nil when there is none.
func texts(ctx context.Context, m types.Map, d *diag.Diagnostics) *map[string]string {
	out := map[string]string{}
	if !m.IsNull() && !m.IsUnknown() {
		d.Append(m.ElementsAs(ctx, &out, false)...)
	}
	return &out
}

// attributes is the server's map; null as long as it is empty and nobody wrote it.
func attributes(ctx context.Context, was types.Map, is map[string]string, d *diag.Diagnostics) types.Map {
	if len(is) == 0 && was.IsNull() {
		return was
	}
	m, diags := types.MapValueFrom(ctx, types.StringType, is)
	d.Append(diags...)
	return m
}

type team struct{ server }

type teamModel struct {
	ID         types.String `tfsdk:"id"`
	Name       types.String `tfsdk:"name"`
	Title      types.String `tfsdk:"title"`
	Attributes types.Map    `tfsdk:"attributes"`
}

func (m *teamModel) take(ctx context.Context, t apiclient.Team, d *diag.Diagnostics) {
	m.ID, m.Name, m.Title = types.StringValue(t.ID), types.StringValue(t.Name), types.StringValue(t.Title)
	m.Attributes = attributes(ctx, m.Attributes, t.Attributes, d)
}

func (*team) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "fairlead_team"
}

func (*team) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	r.Schema = common("A team: who owns projects.", nil)
}

func (x *team) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m teamModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	t, _, err := read[apiclient.Team](x.CreateTeam(ctx, apiclient.CreateTeamRequest{
		Name: m.Name.ValueString(), Title: some(m.Title.ValueString()), Attributes: texts(ctx, m.Attributes, &r.Diagnostics),
	}))
	if err != nil {
		told(&r.Diagnostics, "The team cannot be created", err)
		return
	}
	m.take(ctx, t, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *team) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m teamModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	t, _, err := read[apiclient.Team](x.GetTeam(ctx, m.ID.ValueString()))
	switch {
	case gone(err):
		r.State.RemoveResource(ctx)
	case err != nil:
		told(&r.Diagnostics, "The team cannot be read", err)
	default:
		m.take(ctx, t, &r.Diagnostics)
		r.Diagnostics.Append(r.State.Set(ctx, &m)...)
	}
}

func (x *team) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m teamModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	name, title := m.Name.ValueString(), m.Title.ValueString()
	_, tag, err := read[apiclient.Team](x.GetTeam(ctx, m.ID.ValueString()))
	var t apiclient.Team
	if err == nil {
		t, _, err = read[apiclient.Team](x.UpdateTeam(ctx, m.ID.ValueString(), &apiclient.UpdateTeamParams{IfMatch: some(tag)},
			apiclient.UpdateTeamRequest{Name: &name, Title: &title, Attributes: texts(ctx, m.Attributes, &r.Diagnostics)}))
	}
	if err != nil {
		told(&r.Diagnostics, "The team cannot be changed", err)
		return
	}
	m.take(ctx, t, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *team) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var id types.String
	r.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if err := done(x.DeleteTeam(ctx, id.ValueString(), &apiclient.DeleteTeamParams{})); err != nil && !gone(err) {
		told(&r.Diagnostics, "The team cannot be deleted", err)
	}
}

// ImportState takes a name or an id.
func (x *team) ImportState(ctx context.Context, req resource.ImportStateRequest, r *resource.ImportStateResponse) {
	t, _, err := read[apiclient.Team](x.GetTeam(ctx, req.ID))
	if err != nil {
		told(&r.Diagnostics, "The team cannot be imported", err)
		return
	}
	r.Diagnostics.Append(r.State.SetAttribute(ctx, path.Root("id"), t.ID)...)
}

type project struct{ server }

type projectModel struct {
	ID         types.String `tfsdk:"id"`
	Name       types.String `tfsdk:"name"`
	Team       types.String `tfsdk:"team"`
	Title      types.String `tfsdk:"title"`
	Attributes types.Map    `tfsdk:"attributes"`
}

func (m *projectModel) take(ctx context.Context, p apiclient.Project, d *diag.Diagnostics) {
	m.ID, m.Name, m.Title = types.StringValue(p.ID), types.StringValue(p.Name), types.StringValue(p.Title)
	if m.Team.ValueString() != p.TeamID { // it may be named by either
		m.Team = types.StringValue(p.Team)
	}
	m.Attributes = attributes(ctx, m.Attributes, p.Attributes, d)
}

func (*project) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "fairlead_project"
}

func (*project) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	r.Schema = common("A project of a team.", map[string]schema.Attribute{
		"team": schema.StringAttribute{Required: true, Description: "The team that owns it: name or id. Another one moves it."},
	})
}

func (x *project) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m projectModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	p, _, err := read[apiclient.Project](x.CreateProject(ctx, apiclient.CreateProjectRequest{
		Name: m.Name.ValueString(), Team: m.Team.ValueString(), Title: some(m.Title.ValueString()), Attributes: texts(ctx, m.Attributes, &r.Diagnostics),
	}))
	if err != nil {
		told(&r.Diagnostics, "The project cannot be created", err)
		return
	}
	m.take(ctx, p, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *project) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m projectModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	p, _, err := read[apiclient.Project](x.GetProject(ctx, m.ID.ValueString()))
	switch {
	case gone(err):
		r.State.RemoveResource(ctx)
	case err != nil:
		told(&r.Diagnostics, "The project cannot be read", err)
	default:
		m.take(ctx, p, &r.Diagnostics)
		r.Diagnostics.Append(r.State.Set(ctx, &m)...)
	}
}

func (x *project) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m projectModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	name, title, team := m.Name.ValueString(), m.Title.ValueString(), m.Team.ValueString()
	_, tag, err := read[apiclient.Project](x.GetProject(ctx, m.ID.ValueString()))
	var p apiclient.Project
	if err == nil {
		p, _, err = read[apiclient.Project](x.UpdateProject(ctx, m.ID.ValueString(), &apiclient.UpdateProjectParams{IfMatch: some(tag)},
			apiclient.UpdateProjectRequest{Name: &name, Title: &title, Team: &team, Attributes: texts(ctx, m.Attributes, &r.Diagnostics)}))
	}
	if err != nil {
		told(&r.Diagnostics, "The project cannot be changed", err)
		return
	}
	m.take(ctx, p, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *project) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var id types.String
	r.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if err := done(x.DeleteProject(ctx, id.ValueString(), &apiclient.DeleteProjectParams{})); err != nil && !gone(err) {
		told(&r.Diagnostics, "The project cannot be deleted", err)
	}
}

// ImportState takes a name or an id.
func (x *project) ImportState(ctx context.Context, req resource.ImportStateRequest, r *resource.ImportStateResponse) {
	p, _, err := read[apiclient.Project](x.GetProject(ctx, req.ID))
	if err != nil {
		told(&r.Diagnostics, "The project cannot be imported", err)
		return
	}
	r.Diagnostics.Append(r.State.SetAttribute(ctx, path.Root("id"), p.ID)...)
}
