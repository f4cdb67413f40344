package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/jackc/pgx/v5"
)

// role is a PostgreSQL role with an owner. One that is there already is
// adopted when its comment names the same owner, and refused otherwise.
type role struct{ s *server }

var (
	_ resource.ResourceWithConfigure   = (*role)(nil)
	_ resource.ResourceWithImportState = (*role)(nil)
)

type roleModel struct {
	ID       types.String `tfsdk:"id"`
	Name     types.String `tfsdk:"name"`
	Owner    types.String `tfsdk:"owner"`
	Login    types.Bool   `tfsdk:"login"`
	Limit    types.Int64  `tfsdk:"connection_limit"`
	Password types.String `tfsdk:"password"`
}

func (*role) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "testing_postgres_role"
}

func (*role) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	again := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	r.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"id":               schema.StringAttribute{Computed: true, PlanModifiers: keep},
		"name":             schema.StringAttribute{Required: true, PlanModifiers: again},
		"owner":            schema.StringAttribute{Required: true, PlanModifiers: again},
		"login":            schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(true)},
		"connection_limit": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(-1)},
		"password":         schema.StringAttribute{Optional: true, Sensitive: true}, // never read back
	}}
}

func (x *role) Configure(_ context.Context, req resource.ConfigureRequest, r *resource.ConfigureResponse) {
	configured(&x.s, req, &r.Diagnostics)
}

// options are what the model says, as CREATE and ALTER ROLE take it.
func (m roleModel) options() string {
	o := " NOLOGIN"
	if m.Login.ValueBool() {
		o = " LOGIN"
	}
	o += " CONNECTION LIMIT " + strconv.FormatInt(m.Limit.ValueInt64(), 10)
	if m.Password.IsNull() {
		return o + " PASSWORD NULL"
	}
	return o + " PASSWORD " + literal(m.Password.ValueString())
}

// look reads the role; pgx.ErrNoRows when there is none.
func (m *roleModel) look(ctx context.Context, c *pgx.Conn) (owner string, err error) {
	var comment *string
	var login bool
	var limit int64
	err = c.QueryRow(ctx, `SELECT r.rolcanlogin, r.rolconnlimit, shobj_description(r.oid, 'pg_authid') FROM pg_roles r WHERE r.rolname = $1`, m.Name.ValueString()).
		Scan(&login, &limit, &comment)
	if err != nil {
		return "", err
	}
	owner, _ = readMarker(comment)
	m.ID, m.Login, m.Limit = m.Name, types.BoolValue(login), types.Int64Value(limit)
	return owner, nil
}

func (x *role) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m roleModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	err := x.s.with(ctx, func(c *pgx.Conn) error { return pgx.BeginFunc(ctx, c, m.create(ctx)) })
	if err != nil {
		r.Diagnostics.AddError("Cannot create the role", err.Error())
		return
	}
	m.ID = m.Name
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

// create makes the role with its marker in one transaction, or adopts its own.
func (m roleModel) create(ctx context.Context) func(pgx.Tx) error {
	name := ident(m.Name.ValueString())
	return func(tx pgx.Tx) error {
		was := roleModel{Name: m.Name}
		switch owner, err := was.look(ctx, tx.Conn()); {
		case errors.Is(err, pgx.ErrNoRows):
			if _, err := tx.Exec(ctx, `CREATE ROLE `+name+m.options()); err != nil {
				return err
			}
		case err != nil:
			return err
		case owner != m.Owner.ValueString():
			return errForeign("role", m.Name.ValueString())
		default:
			if _, err := tx.Exec(ctx, `ALTER ROLE `+name+m.options()); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `COMMENT ON ROLE `+name+` IS `+marker{m.Owner.ValueString()}.literal())
		return err
	}
}

func (x *role) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m roleModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	var owner string
	err := x.s.with(ctx, func(c *pgx.Conn) (err error) { owner, err = m.look(ctx, c); return err })
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		r.State.RemoveResource(ctx)
		return
	case err != nil:
		r.Diagnostics.AddError("Cannot read the role", err.Error())
		return
	}
	m.Owner = types.StringValue(owner)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *role) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m roleModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := x.s.with(ctx, func(c *pgx.Conn) error { return pgx.BeginFunc(ctx, c, m.create(ctx)) }); err != nil {
		r.Diagnostics.AddError("Cannot change the role", err.Error())
		return
	}
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *role) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var m roleModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	err := x.s.with(ctx, func(c *pgx.Conn) error {
		was := roleModel{Name: m.Name}
		owner, err := was.look(ctx, c)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		case owner != m.Owner.ValueString():
			return errForeign("role", m.Name.ValueString())
		}
		_, err = c.Exec(ctx, `DROP ROLE IF EXISTS `+ident(m.Name.ValueString()))
		return err
	})
	if err != nil {
		r.Diagnostics.AddError("Cannot remove the role", err.Error())
	}
}

// ImportState takes a role by its name; whose it is is read from its marker.
func (*role) ImportState(ctx context.Context, req resource.ImportStateRequest, r *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), req, r)
	r.Diagnostics.Append(r.State.SetAttribute(ctx, path.Root("name"), req.ID)...)
}
