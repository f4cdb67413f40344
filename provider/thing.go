package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"fairlead/internal/apiclient"
)

// thing is fairlead_resource: something made from a template.
type thing struct{ server }

var (
	_ resource.ResourceWithConfigure   = (*thing)(nil)
	_ resource.ResourceWithImportState = (*thing)(nil)
)

type thingModel struct {
	ID              types.String  `tfsdk:"id"`
	Project         types.String  `tfsdk:"project"`
	Environment     types.String  `tfsdk:"environment"`
	Name            types.String  `tfsdk:"name"`
	Template        types.String  `tfsdk:"template"`
	Version         types.String  `tfsdk:"version"`
	Inputs          types.Dynamic `tfsdk:"inputs"`
	Note            types.String  `tfsdk:"note"`
	Lease           types.String  `tfsdk:"lease"`
	Timeout         types.String  `tfsdk:"timeout"`
	Reveal          types.Bool    `tfsdk:"reveal"`
	TemplateVersion types.String  `tfsdk:"template_version"`
	Revision        types.Int64   `tfsdk:"revision"`
	Outputs         types.Dynamic `tfsdk:"outputs"`
	SecretOutputs   types.Map     `tfsdk:"secret_outputs"`
}

func (*thing) Metadata(_ context.Context, _ resource.MetadataRequest, r *resource.MetadataResponse) {
	r.TypeName = "fairlead_resource"
}

func (*thing) Schema(_ context.Context, _ resource.SchemaRequest, r *resource.SchemaResponse) {
	r.Schema = schema.Schema{
		Description: "Something made from a template: a database, a module, whatever the platform team offers.",
		Attributes: map[string]schema.Attribute{
			"id":               schema.StringAttribute{Computed: true, PlanModifiers: keep},
			"project":          schema.StringAttribute{Required: true, PlanModifiers: again, Description: "Name or id."},
			"environment":      schema.StringAttribute{Required: true, PlanModifiers: again, Description: "Name or id."},
			"name":             schema.StringAttribute{Required: true, PlanModifiers: again},
			"template":         schema.StringAttribute{Required: true, PlanModifiers: again},
			"version":          schema.StringAttribute{Optional: true, Description: "Of the template: a number, or a range such as ^1.2; by default the one in use, for a new resource the newest stable."},
			"inputs":           schema.DynamicAttribute{Optional: true, Description: "By the template's schema."},
			"note":             schema.StringAttribute{Optional: true, Description: "Why, for whoever reads the history. A change of it alone is no change of the resource."},
			"lease":            schema.StringAttribute{Optional: true, PlanModifiers: again, Description: "How long it may live: 90m, 8h, 7d."},
			"timeout":          schema.StringAttribute{Optional: true, Description: "How long to wait until it is ready or gone: 30m by default. Approvals of others are waited for, too."},
			"reveal":           schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false), Description: "Read the secret outputs into the state. It takes the right to, and is recorded in the audit log."},
			"template_version": schema.StringAttribute{Computed: true, Description: "The version in use."},
			"revision":         schema.Int64Attribute{Computed: true},
			"outputs":          schema.DynamicAttribute{Computed: true, Description: "What is no secret."},
			"secret_outputs":   schema.MapAttribute{ElementType: types.StringType, Computed: true, Sensitive: true, Description: "The secret outputs with reveal; empty without."},
		},
	}
}

const usually = 30 * time.Minute

func (m thingModel) patience() (time.Duration, error) {
	if m.Timeout.ValueString() == "" {
		return usually, nil
	}
	d, err := time.ParseDuration(m.Timeout.ValueString())
	if err != nil || d <= 0 {
		return 0, errors.New("the timeout is no length of time, as 30m")
	}
	return d, nil
}

func (m thingModel) inputs() (map[string]any, error) {
	v, err := plain(m.Inputs)
	if err != nil {
		return nil, err
	}
	out, ok := v.(map[string]any)
	if v != nil && !ok {
		return nil, errors.New("inputs are an object: { name = value }")
	}
	if out == nil {
		out = map[string]any{}
	}
	return out, nil
}

// take puts what the server says into the model. Inputs are those of the
// configuration as long as the server has the same: it fills in defaults, and
// shows secrets masked.
func (m *thingModel) take(r apiclient.Resource, imported bool) {
	m.ID, m.Name, m.Template = types.StringValue(r.ID), types.StringValue(r.Name), types.StringValue(r.Template)
	if imported {
		m.Project, m.Environment = types.StringValue(r.Project), types.StringValue(r.Environment)
	}
	m.TemplateVersion, m.Revision = types.StringValue(r.TemplateVersion), types.Int64Value(r.Revision)
	shown := map[string]any{}
	secret := map[string]bool{}
	for _, name := range r.SecretOutputs {
		secret[name] = true
	}
	for name, v := range r.Outputs {
		if !secret[name] {
			shown[name] = v
		}
	}
	m.Outputs = object(shown)
	have, err := m.inputs()
	if err != nil || imported || differ(have, r.Inputs) {
		m.Inputs = object(r.Inputs)
	}
}

const masked = "[redacted]"

// differ tells whether something that the configuration says is no longer so.
func differ(have, is map[string]any) bool {
	for k, v := range have {
		if !alike(v, is[k]) {
			return true
		}
	}
	return false
}

func alike(have, is any) bool {
	if is == masked {
		return true
	}
	h, isMap := have.(map[string]any)
	i, too := is.(map[string]any)
	if isMap && too {
		return !differ(h, i)
	}
	a, _ := json.Marshal(have) // both came from values that JSON has
	b, _ := json.Marshal(is)
	return string(a) == string(b)
}

// secrets reads the secret outputs, when they are wanted.
func (x *thing) secrets(ctx context.Context, m *thingModel, r apiclient.Resource, d *diag.Diagnostics) {
	none := map[string]attr.Value{}
	m.SecretOutputs = types.MapValueMust(types.StringType, none)
	if !m.Reveal.ValueBool() || len(r.SecretOutputs) == 0 || r.AppliedRevision == 0 {
		return
	}
	c, _, err := read[apiclient.ResourceCredentials](x.RevealCredentials(ctx, r.Project, r.Environment, r.ID))
	if err != nil {
		told(d, "The secret outputs cannot be read", err)
		return
	}
	for _, name := range c.Secrets {
		text, ok := c.Outputs[name].(string)
		if !ok {
			b, _ := json.Marshal(c.Outputs[name])
			text = string(b)
		}
		none[name] = types.StringValue(text)
	}
	m.SecretOutputs = types.MapValueMust(types.StringType, none)
}

// wait returns the resource once it is settled. The work goes on by itself
// when nobody waits for it any more.
func (x *thing) wait(ctx context.Context, r apiclient.Resource, limit time.Duration) (apiclient.Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !r.Settled {
		seconds, until := int64(20), apiclient.GetResourceByIDParamsUntilSettled
		next, _, err := read[apiclient.Resource](x.GetResourceByID(ctx, r.ID, &apiclient.GetResourceByIDParams{Wait: &seconds, Until: &until}))
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return r, fmt.Errorf("%s is still %s after %s%s; it goes on by itself. Wait longer with timeout, or apply again later", r.Name, r.Phase, limit, because(r))
		case ctx.Err() != nil:
			return r, fmt.Errorf("stopped waiting for %s, which is %s; it goes on by itself", r.Name, r.Phase)
		case err != nil:
			return r, err
		}
		r = next
	}
	return r, nil
}

func because(r apiclient.Resource) string {
	if r.Message != nil && *r.Message != "" {
		return ": " + *r.Message
	}
	return ""
}

// verdict adds why a settled resource is not as it was wanted.
func verdict(d *diag.Diagnostics, r apiclient.Resource) {
	if r.Phase == "ready" {
		return
	}
	text := r.Name + " is " + string(r.Phase) + because(r)
	if r.Hint != nil && *r.Hint != "" {
		text += "\n\nWhat to do: " + *r.Hint
	}
	if r.Reason != nil && *r.Reason != "" {
		text += "\n\nCode: " + *r.Reason
	}
	d.AddError("The resource is not ready", text)
}

// settle waits, and puts what there is then into the state in any case: what
// was accepted is there, whatever became of it.
func (x *thing) settle(ctx context.Context, m *thingModel, r apiclient.Resource, limit time.Duration, d *diag.Diagnostics) {
	last, err := x.wait(ctx, r, limit)
	m.take(last, false)
	m.SecretOutputs = types.MapValueMust(types.StringType, map[string]attr.Value{})
	if err != nil {
		told(d, "The resource is not ready yet", err)
		return
	}
	if verdict(d, last); !d.HasError() {
		x.secrets(ctx, m, last, d)
	}
}

func (x *thing) Create(ctx context.Context, req resource.CreateRequest, r *resource.CreateResponse) {
	var m thingModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	limit, err := m.patience()
	if err != nil {
		r.Diagnostics.AddAttributeError(path.Root("timeout"), "Not a length of time", err.Error())
		return
	}
	inputs, err := m.inputs()
	if err != nil {
		r.Diagnostics.AddAttributeError(path.Root("inputs"), "Inputs that cannot be sent", err.Error())
		return
	}
	made, _, err := read[apiclient.Resource](x.CreateResource(ctx, m.Project.ValueString(), m.Environment.ValueString(), apiclient.ResourceRequest{
		Name: m.Name.ValueString(), Template: m.Template.ValueString(), Version: some(m.Version.ValueString()), Inputs: &inputs,
		Note: some(m.Note.ValueString()), Lease: some(m.Lease.ValueString()),
	}))
	if err != nil {
		told(&r.Diagnostics, "The resource cannot be requested", err)
		return
	}
	x.settle(ctx, &m, made, limit, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *thing) Read(ctx context.Context, req resource.ReadRequest, r *resource.ReadResponse) {
	var m thingModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	seen, _, err := read[apiclient.Resource](x.GetResourceByID(ctx, m.ID.ValueString(), &apiclient.GetResourceByIDParams{}))
	switch {
	case gone(err), err == nil && (seen.Phase == "destroyed" || seen.Phase == "released"):
		r.State.RemoveResource(ctx)
		return
	case err != nil:
		told(&r.Diagnostics, "The resource cannot be read", err)
		return
	}
	before, was := m.Revision, m.SecretOutputs
	m.take(seen, m.Project.IsNull())
	if m.Reveal.IsNull() {
		m.Reveal = types.BoolValue(false)
	}
	if !m.Reveal.ValueBool() || was.IsNull() || len(was.Elements()) == 0 || before.ValueInt64() != seen.Revision {
		x.secrets(ctx, &m, seen, &r.Diagnostics)
	}
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *thing) Update(ctx context.Context, req resource.UpdateRequest, r *resource.UpdateResponse) {
	var m thingModel
	if r.Diagnostics.Append(req.Plan.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	limit, err := m.patience()
	if err != nil {
		r.Diagnostics.AddAttributeError(path.Root("timeout"), "Not a length of time", err.Error())
		return
	}
	inputs, err := m.inputs()
	if err != nil {
		r.Diagnostics.AddAttributeError(path.Root("inputs"), "Inputs that cannot be sent", err.Error())
		return
	}
	seen, tag, err := read[apiclient.Resource](x.GetResourceByID(ctx, m.ID.ValueString(), &apiclient.GetResourceByIDParams{}))
	if err == nil {
		seen, _, err = read[apiclient.Resource](x.PutResource(ctx, seen.Project, seen.Environment, seen.Name, &apiclient.PutResourceParams{IfMatch: some(tag)},
			apiclient.DesiredResource{Template: m.Template.ValueString(), Version: some(m.Version.ValueString()), Inputs: &inputs, Note: some(m.Note.ValueString())}))
	}
	if err != nil {
		told(&r.Diagnostics, "The resource cannot be changed", err)
		return
	}
	x.settle(ctx, &m, seen, limit, &r.Diagnostics)
	r.Diagnostics.Append(r.State.Set(ctx, &m)...)
}

func (x *thing) Delete(ctx context.Context, req resource.DeleteRequest, r *resource.DeleteResponse) {
	var m thingModel
	if r.Diagnostics.Append(req.State.Get(ctx, &m)...); r.Diagnostics.HasError() {
		return
	}
	limit, err := m.patience()
	if err != nil {
		limit = usually
	}
	seen, _, err := read[apiclient.Resource](x.GetResourceByID(ctx, m.ID.ValueString(), &apiclient.GetResourceByIDParams{}))
	if gone(err) || err == nil && (seen.Phase == "destroyed" || seen.Phase == "released") {
		return
	}
	if err == nil {
		seen, _, err = read[apiclient.Resource](x.DestroyResource(ctx, seen.Project, seen.Environment, seen.ID, &apiclient.DestroyResourceParams{}))
	}
	if err != nil {
		told(&r.Diagnostics, "The resource cannot be destroyed", err)
		return
	}
	last, err := x.wait(ctx, seen, limit)
	switch {
	case err != nil:
		told(&r.Diagnostics, "The resource is not gone yet", err)
	case last.Phase != "destroyed":
		verdict(&r.Diagnostics, last)
		if !r.Diagnostics.HasError() {
			r.Diagnostics.AddError("The resource was not destroyed", last.Name+" is "+string(last.Phase)+because(last))
		}
	}
}

// ImportState takes PROJECT/ENVIRONMENT/NAME, or the id.
func (x *thing) ImportState(ctx context.Context, req resource.ImportStateRequest, r *resource.ImportStateResponse) {
	var found apiclient.Resource
	var err error
	if strings.HasPrefix(req.ID, "res_") {
		found, _, err = read[apiclient.Resource](x.GetResourceByID(ctx, req.ID, &apiclient.GetResourceByIDParams{}))
	} else {
		parts, serr := split(req.ID, 3)
		if serr != nil {
			r.Diagnostics.AddError("The resource cannot be imported", serr.Error()+": PROJECT/ENVIRONMENT/NAME, or the resource's id")
			return
		}
		var resp *http.Response
		resp, err = x.GetResource(ctx, parts[0], parts[1], parts[2], &apiclient.GetResourceParams{})
		found, _, err = read[apiclient.Resource](resp, err)
	}
	if err != nil {
		told(&r.Diagnostics, "The resource cannot be imported", err)
		return
	}
	r.Diagnostics.Append(r.State.SetAttribute(ctx, path.Root("id"), found.ID)...)
}
