# Changes in production are agreed to by an approver of the team that owns it;
# the end of what holds data by its owner.
package fairlead.production

settings := data.baseline.production

approve contains {
	"rule": "changes",
	"msg": sprintf("%s in production", [input.action]),
	"remedy": "an approver of the team agrees: fairlead approvals",
	"role": "approver",
	"count": settings.count,
} if {
	asked
	not loses_data
}

approve contains {
	"rule": "data_loss",
	"msg": sprintf("%s holds data of production, which goes with it", [input.resource.name]),
	"remedy": "an owner of the team agrees: fairlead approvals",
	"role": "team-owner",
	"count": settings.count,
} if {
	asked
	loses_data
}

asked if {
	input.environment.class == "production"
	input.action in {"create", "update", "destroy"}
	not exempt
}

loses_data if {
	input.action == "destroy"
	input.template.stateful
}

exempt if {
	some template in settings.exempt_templates
	glob.match(template, null, input.template.name)
}
