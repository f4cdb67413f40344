package main

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"fairlead/internal/apiclient"
)

// token is a token of whoever applies this, or of a robot. It changes by being
// replaced alone.
type token struct{ server }

type tokenModel struct {
	ID        types.String `tfsdk:"id"`
	Name      types.String `tfsdk:"name"`
	Robot     types.String `tfsdk:"robot"`
	Scopes    types.List   `tfsdk:"scopes"`
	Lifetime  types.String `tfsdk:"lifetime"`
	ExpiresAt types.String `tfsdk:"expires_at"`
	Value     types.String `tfsdk:"value"`
}

func (*token) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "fairlead_token"
}

func (*token) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	r.Schema = schema.Schema{
		Description: "A token of whoever applies this, or of a robot. Its value is in the state: keep that as you keep passwords. One that has expired or was revoked is made anew.",
		Attributes: map[string]schema.Attribute{
			"id":         schema.StringAttribute{Computed: true, PlanModifiers: keep},
			"name":       schema.StringAttribute{Required: true, PlanModifiers: again},
			"robot":      schema.StringAttribute{Optional: true, PlanModifiers: again, Description: "Name or id of a robot, whose token it is; yours when absent."},
			"scopes":     schema.ListAttribute{ElementType: types.StringType, Optional: true, PlanModifiers: []planmodifier.List{listplanmodifier.RequiresReplace()}, Description: "What it may at most; all that its owner may when absent."},
			"lifetime":   schema.StringAttribute{Optional: true, PlanModifiers: again, Description: "How long it is good for, as 720h; the server's default when absent."},
			"expires_at": schema.StringAttribute{Computed: true, PlanModifiers: keep},
			"value":      schema.StringAttribute{Computed: true, Sensitive: true, PlanModifiers: keep},
		},
	}
}

func (x *token) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m tokenModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	body := apiclient.CreateTokenRequest{Name: m.Name.ValueString(), Robot: some(m.Robot.ValueString())}
	if !m.Scopes.IsNull() {
		var scopes []string
		r.Diagnostics.Append(m.Scopes.ElementsAs(ctx, &scopes, false)...)
		body.Scopes = &scopes
	}
	if text := m.Lifetime.ValueString(); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second {
			r.Diagnostics.AddAttributeError(path.Root("lifetime"), "Not a length of time", "It looks like 720h.")
			return
		}
		seconds := int64(d / time.Second)
		body.ExpiresInSeconds = &seconds
	}
	if r.Diagnostics.HasError() {
		return
	}
	t, _, err := read[apiclient.NewToken](x.CreateToken(ctx, body))
	if err != nil {
		told(&r.Diagnostics, "The token cannot be made", err)
		return
	}
	m.ID, m.Value, m.ExpiresAt = types.StringValue(t.ID), types.StringValue(t.Value), types.StringValue(t.ExpiresAt.UTC().Format(time.RFC3339))
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *token) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m tokenModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	t, _, err := read[apiclient.Token](x.GetToken(ctx, m.ID.ValueString()))
	switch {
	case gone(err), err == nil && (t.RevokedAt != nil || time.Now().After(t.ExpiresAt)):
		r.State.RemoveResource(ctx)
	case err != nil:
		told(&r.Diagnostics, "The token cannot be read", err)
	}
}

// Update is for nothing: every change replaces it.
func (*token) Update(_ context.Context, _ resource.UpdateRequest, r *resource.UpdateResponse) {
	r.Diagnostics.AddError("A token does not change", "This is a defect of the provider; please report it.")
}

func (x *token) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var id types.String
	r.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if err := done(x.RevokeToken(ctx, id.ValueString())); err != nil && !gone(err) {
		told(&r.Diagnostics, "The token cannot be revoked", err)
	}
}
