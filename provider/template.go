package main

import (
	"bytes"
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"fairlead/internal/apiclient"
	"fairlead/internal/template/bundle"
	"fairlead/internal/yamlx"
)

// template is a template's version, pushed from a folder. A version never
// changes and is never taken back: others may use it.
type template struct{ server }

var _ resource.ResourceWithModifyPlan = (*template)(nil)

type templateModel struct {
	ID      types.String `tfsdk:"id"`
	Folder  types.String `tfsdk:"folder"`
	Name    types.String `tfsdk:"name"`
	Version types.String `tfsdk:"version"`
	Digest  types.String `tfsdk:"digest"`
	Content types.String `tfsdk:"content"`
}

func (*template) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "fairlead_template"
}

func (*template) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	r.Schema = schema.Schema{
		Description: "A version of a template, pushed from a folder. Versions stay on the server when this is removed.",
		Attributes: map[string]schema.Attribute{
			"id":      schema.StringAttribute{Computed: true, Description: "NAME/VERSION."},
			"folder":  schema.StringAttribute{Required: true, Description: "With template.yaml, or a module with name and version said here."},
			"name":    schema.StringAttribute{Optional: true, Computed: true, Description: "template.yaml's when absent."},
			"version": schema.StringAttribute{Optional: true, Computed: true, Description: "template.yaml's when absent. Other content needs another version."},
			"digest":  schema.StringAttribute{Computed: true, Description: "Of what the server has."},
			"content": schema.StringAttribute{Computed: true, Description: "Of the folder; another one is pushed."},
		},
	}
}

// ModifyPlan looks whether the folder holds something else than was pushed.
func (*template) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, r *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var m, was templateModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() || m.Folder.IsUnknown() {
		return
	}
	b, err := bundle.FromDir(m.Folder.ValueString())
	if err != nil {
		r.Diagnostics.AddAttributeError(path.Root("folder"), "The folder cannot be read", err.Error())
		return
	}
	m.Content = types.StringValue(b.Digest())
	// What template.yaml says is known now: a name that is not would have all
	// that is made from the template replaced.
	name, number := manifest(b)
	if m.Name.IsUnknown() && name != "" {
		m.Name = types.StringValue(name)
	}
	if m.Version.IsUnknown() && number != "" {
		m.Version = types.StringValue(number)
	}
	if !req.State.Raw.IsNull() {
		if r.Diagnostics.Append(req.State.Get(ctx, &was)...); r.Diagnostics.HasError() {
			return
		}
		if was.Content.Equal(m.Content) && m.Name.Equal(was.Name) && m.Version.Equal(was.Version) {
			m.ID, m.Digest = was.ID, was.Digest
		} else {
			m.ID, m.Digest = types.StringUnknown(), types.StringUnknown()
		}
	}
	r.Diagnostics.Append(r.Plan.Set(ctx, &m)...)
}

// manifest reads name and version of template.yaml; empty where there is none,
// or none that the server would take.
func manifest(b *bundle.Bundle) (name, number string) {
	text, ok := b.File("template.yaml")
	if !ok {
		return "", ""
	}
	doc, err := yamlx.DecodeOne(bytes.NewReader(text), yamlx.Limits{File: "template.yaml"})
	if err != nil {
		return "", ""
	}
	top, _ := doc.Root.Value().(map[string]any)
	meta, _ := top["metadata"].(map[string]any)
	name, _ = meta["name"].(string)
	number, _ = meta["version"].(string)
	return name, number
}

func (x *template) push(ctx context.Context, m *templateModel) error {
	b, err := bundle.FromDir(m.Folder.ValueString())
	if err != nil {
		return err
	}
	v, _, err := read[apiclient.TemplateVersion](x.PushTemplateWithBody(ctx, &apiclient.PushTemplateParams{
		Name: some(m.Name.ValueString()), Version: some(m.Version.ValueString()),
	}, "application/x-tar", bytes.NewReader(b.Archive())))
	if err != nil {
		return err
	}
	m.take(v)
	m.Content = types.StringValue(b.Digest())
	return nil
}

func (m *templateModel) take(v apiclient.TemplateVersion) {
	m.ID, m.Name, m.Version, m.Digest = types.StringValue(v.Name+"/"+v.Version), types.StringValue(v.Name), types.StringValue(v.Version), types.StringValue(v.Digest)
}

func (x *template) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m templateModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := x.push(ctx, &m); err != nil {
		told(&r.Diagnostics, "The template cannot be pushed", err)
		return
	}
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *template) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m templateModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := x.push(ctx, &m); err != nil {
		told(&r.Diagnostics, "The template cannot be pushed", err)
		return
	}
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *template) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m templateModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	v, _, err := read[apiclient.TemplateVersion](x.GetTemplateVersion(ctx, m.Name.ValueString(), m.Version.ValueString()))
	switch {
	case gone(err):
		r.State.RemoveResource(ctx)
	case err != nil:
		told(&r.Diagnostics, "The template cannot be read", err)
	default:
		m.take(v)
		r.Diagnostics.Append(r.State.Set(ctx, &m)...)
	}
}

func (*template) Delete(_ context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	r.Diagnostics.AddWarning("The version stays on the server", "A template's version is never taken back: resources may be made from it. It is only no longer looked after here.")
}
