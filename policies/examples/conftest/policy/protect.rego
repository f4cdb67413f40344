package terraform.protect

import rego.v1

blocked := {"aws_iam_access_key", "aws_iam_user", "null_resource"}

stateful := {"aws_db_instance", "aws_dynamodb_table", "aws_s3_bucket", "google_sql_database_instance", "database"}

violation contains {"msg": msg, "details": {"address": rc.address, "severity": "high"}} if {
	some rc in input.resource_changes
	rc.type in blocked
	"create" in rc.change.actions
	msg := sprintf("%s: resources of type %s are not allowed", [rc.address, rc.type])
}

violation contains {"msg": msg, "details": {"address": rc.address, "severity": "critical"}} if {
	some rc in input.resource_changes
	rc.type in stateful
	"delete" in rc.change.actions
	msg := sprintf("%s: the plan destroys data", [rc.address])
}
