# What one resource may cost a month before somebody is told, and before
# somebody is asked. Budgets of teams and projects are quotas.
package fairlead.budget

settings := data.baseline.budget

warn contains {
	"rule": "advise",
	"msg": sprintf("this costs %s %v a month; above %v that is a lot for %s", [input.cost.currency, input.cost.monthly, most, input.environment.class]),
	"remedy": "ask for less, or give it a lease",
} if {
	dearer
	most := settings.advise[input.environment.class]
	input.cost.monthly > most
	not asks
}

approve contains {
	"rule": "approve",
	"msg": sprintf("this costs %s %v a month; above %v an owner of the team agrees first", [input.cost.currency, input.cost.monthly, settings.approve[input.environment.class]]),
	"remedy": "ask for less, or have it approved: fairlead approvals",
} if {
	asks
}

asks if {
	dearer
	input.cost.monthly > settings.approve[input.environment.class]
}

dearer if {
	input.action in {"create", "update"}
	input.cost.monthly > object.get(input.cost, "before", 0)
}
