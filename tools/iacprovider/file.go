package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// file is a file with an owner. One that is there already is adopted when it
// has the same owner, and refused otherwise.
type file struct{}

type fileModel struct {
	ID      types.String `tfsdk:"id"`
	Path    types.String `tfsdk:"path"`
	Owner   types.String `tfsdk:"owner"`
	Content types.String `tfsdk:"content"`
	Secret  types.String `tfsdk:"secret"`
	Delay   types.String `tfsdk:"delay"`
}

type content struct{ Owner, Content, Secret string }

func (file) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "testing_file"
}

func (file) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	again := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	r.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"id":      schema.StringAttribute{Computed: true, PlanModifiers: keep},
		"path":    schema.StringAttribute{Required: true, PlanModifiers: again},
		"owner":   schema.StringAttribute{Required: true, PlanModifiers: again},
		"content": schema.StringAttribute{Optional: true},
		"secret":  schema.StringAttribute{Optional: true, Sensitive: true},
		"delay":   schema.StringAttribute{Optional: true}, // after the file is made
	}}
}

func (file) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m fileModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if have, err := load(m.Path.ValueString()); err == nil && have.Owner != m.Owner.ValueString() {
		r.Diagnostics.AddError("File already exists", m.Path.ValueString()+" already exists and belongs to somebody else.")
		return
	}
	if err := m.save(); err != nil {
		r.Diagnostics.AddError("Cannot write", err.Error())
		return
	}
	m.ID = m.Path
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
	if d, err := time.ParseDuration(m.Delay.ValueString()); err == nil {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
}

func (file) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m fileModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	have, err := load(m.Path.ValueString())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.State.RemoveResource(ctx)
		return
	case err != nil:
		r.Diagnostics.AddError("Cannot read", err.Error())
		return
	}
	m.Owner = types.StringValue(have.Owner)
	m.Content, m.Secret = value(m.Content, have.Content), value(m.Secret, have.Secret)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func value(was types.String, is string) types.String {
	if is == "" && was.IsNull() {
		return was
	}
	return types.StringValue(is)
}

func (file) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m fileModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := m.save(); err != nil {
		r.Diagnostics.AddError("Cannot write", err.Error())
		return
	}
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (file) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var m fileModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := os.Remove(m.Path.ValueString()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Diagnostics.AddError("Cannot remove", err.Error())
	}
}

func load(path string) (content, error) {
	var c content
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	return c, err
}

func (m fileModel) save() error {
	b, err := json.Marshal(content{m.Owner.ValueString(), m.Content.ValueString(), m.Secret.ValueString()})
	if err != nil {
		return err
	}
	path := m.Path.ValueString()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		return err
	}
	_ = os.Chmod(path, 0o666) // the next run may have another account
	return nil
}
