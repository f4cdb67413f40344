package main

import (
	"context"
	"crypto/rand"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// password is made once and lives in the state alone.
type password struct{}

type passwordModel struct {
	ID     types.String `tfsdk:"id"`
	Result types.String `tfsdk:"result"`
}

func (password) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "testing_password"
}

func (password) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	r.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"id":     schema.StringAttribute{Computed: true, PlanModifiers: keep},
		"result": schema.StringAttribute{Computed: true, Sensitive: true, PlanModifiers: keep},
	}}
}

func (password) Create(ctx context.Context, _ resource.CreateRequest, r *resource.CreateResponse) {
	m := passwordModel{ID: types.StringValue(rand.Text()), Result: types.StringValue(rand.Text())}
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (password) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

func (password) Update(context.Context, resource.UpdateRequest, *resource.UpdateResponse) {}

func (password) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
