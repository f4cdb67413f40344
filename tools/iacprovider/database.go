package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/jackc/pgx/v5"
)

// database is a PostgreSQL database with an owner. One that is there already
// is adopted when its comment names the same owner, and refused otherwise.
type database struct{ s *server }

var (
	_ resource.ResourceWithConfigure   = (*database)(nil)
	_ resource.ResourceWithImportState = (*database)(nil)
)

type databaseModel struct {
	ID    types.String `tfsdk:"id"`
	Name  types.String `tfsdk:"name"`
	Owner types.String `tfsdk:"owner"`
	Role  types.String `tfsdk:"role"`
	Limit types.Int64  `tfsdk:"connection_limit"`
}

func (*database) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "testing_postgres_database"
}

func (*database) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	again := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	r.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"id":               schema.StringAttribute{Computed: true, PlanModifiers: keep},
		"name":             schema.StringAttribute{Required: true, PlanModifiers: again},
		"owner":            schema.StringAttribute{Required: true, PlanModifiers: again},
		"role":             schema.StringAttribute{Required: true}, // that owns it in PostgreSQL
		"connection_limit": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(-1)},
	}}
}

func (x *database) Configure(_ context.Context, req resource.ConfigureRequest, r *resource.ConfigureResponse) {
	configured(&x.s, req, &r.Diagnostics)
}

// look reads the database; pgx.ErrNoRows when there is none.
func (m *databaseModel) look(ctx context.Context, c *pgx.Conn) (owner string, err error) {
	var comment *string
	var role string
	var limit int64
	err = c.QueryRow(ctx, `SELECT pg_get_userbyid(d.datdba)::text, d.datconnlimit, shobj_description(d.oid, 'pg_database') FROM pg_database d WHERE d.datname = $1`,
		m.Name.ValueString()).Scan(&role, &limit, &comment)
	if err != nil {
		return "", err
	}
	owner, _ = readMarker(comment)
	m.ID, m.Role, m.Limit = m.Name, types.StringValue(role), types.Int64Value(limit)
	return owner, nil
}

func (x *database) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m databaseModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := x.s.with(ctx, func(c *pgx.Conn) error { return m.create(ctx, c) }); err != nil {
		r.Diagnostics.AddError("Cannot create the database", err.Error())
		return
	}
	m.ID = m.Name
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

// create makes the database under a name that only this owner's attempts use,
// and gives it its own once it carries the marker: PostgreSQL makes no
// database in a transaction, and one without a marker is nobody's.
func (m databaseModel) create(ctx context.Context, c *pgx.Conn) error {
	owner, err := (&databaseModel{Name: m.Name}).look(ctx, c)
	switch {
	case err == nil && owner != m.Owner.ValueString():
		return errForeign("database", m.Name.ValueString())
	case err == nil:
		return m.settle(ctx, c)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	first := "testing_new_" + hash(m.Name.ValueString(), m.Owner.ValueString())
	if _, err := c.Exec(ctx, `CREATE DATABASE `+ident(first)); err != nil && code(err) != "42P04" { // an attempt that was cut off left it
		return err
	}
	for _, sql := range []string{
		`COMMENT ON DATABASE ` + ident(first) + ` IS ` + marker{m.Owner.ValueString()}.literal(),
		`REVOKE ALL ON DATABASE ` + ident(first) + ` FROM PUBLIC`,
		`ALTER DATABASE ` + ident(first) + ` RENAME TO ` + ident(m.Name.ValueString()),
	} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return m.settle(ctx, c)
}

func (m databaseModel) settle(ctx context.Context, c *pgx.Conn) error {
	name := ident(m.Name.ValueString())
	for _, sql := range []string{
		`ALTER DATABASE ` + name + ` OWNER TO ` + ident(m.Role.ValueString()),
		`ALTER DATABASE ` + name + ` CONNECTION LIMIT ` + strconv.FormatInt(m.Limit.ValueInt64(), 10),
	} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (x *database) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m databaseModel
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
		r.Diagnostics.AddError("Cannot read the database", err.Error())
		return
	}
	m.Owner = types.StringValue(owner)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *database) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m databaseModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	if err := x.s.with(ctx, func(c *pgx.Conn) error { return m.settle(ctx, c) }); err != nil {
		r.Diagnostics.AddError("Cannot change the database", err.Error())
		return
	}
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *database) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var m databaseModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	err := x.s.with(ctx, func(c *pgx.Conn) error {
		owner, err := (&databaseModel{Name: m.Name}).look(ctx, c)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		case owner != m.Owner.ValueString():
			return errForeign("database", m.Name.ValueString())
		}
		_, err = c.Exec(ctx, `DROP DATABASE IF EXISTS `+ident(m.Name.ValueString())+` WITH (FORCE)`)
		return err
	})
	if err != nil {
		r.Diagnostics.AddError("Cannot remove the database", err.Error())
	}
}

// ImportState takes a database by its name; whose it is is read from its marker.
func (*database) ImportState(ctx context.Context, req resource.ImportStateRequest, r *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), req, r)
	r.Diagnostics.Append(r.State.SetAttribute(ctx, path.Root("name"), req.ID)...)
}
