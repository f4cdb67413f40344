package main

# Written for OPA before 1.0.

minimum_tags = {"owner", "cost-center"}

taggable = {"aws_s3_bucket", "aws_instance", "aws_db_instance"}

deny[msg] {
	changeset := input.resource_changes[_]
	taggable[changeset.type]
	is_create_or_update(changeset.change.actions)
	provided := {tag | changeset.change.after.tags[tag]}
	missing := minimum_tags - provided
	count(missing) > 0
	msg := sprintf("%s is missing tags: %s", [changeset.address, concat(", ", sort(missing))])
}

is_create_or_update(actions) { actions[_] == "create" }

is_create_or_update(actions) { actions[_] == "update" }
