package main

import rego.v1

public_acls := {"public-read", "public-read-write", "authenticated-read", "website"}

deny contains msg if {
	some rc in input.resource_changes
	rc.type in {"aws_s3_bucket", "aws_s3_bucket_acl"}
	rc.change.after.acl in public_acls
	msg := sprintf("%s: ACL %q makes the bucket public", [rc.address, rc.change.after.acl])
}

deny contains msg if {
	some rc in input.resource_changes
	rc.type == "aws_security_group"
	some rule in rc.change.after.ingress
	"0.0.0.0/0" in rule.cidr_blocks
	not rule.from_port in {80, 443}
	msg := sprintf("%s: port %d is open to the world", [rc.address, rule.from_port])
}

warn contains msg if {
	some rc in input.resource_changes
	rc.type == "aws_s3_bucket"
	"create" in rc.change.actions
	not versioned(rc.name)
	msg := sprintf("%s: versioning is off", [rc.address])
}

versioned(name) if {
	some rc in input.resource_changes
	rc.type == "aws_s3_bucket_versioning"
	rc.name == name
}
