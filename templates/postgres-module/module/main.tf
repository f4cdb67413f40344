terraform {
  required_providers {
    testing = {
      source = "fairlead.test/fairlead/testing"
    }
  }
}

provider "testing" {
  url = var.server_url
}

locals {
  # Two resources of one name, in two environments, share a server.
  owner = "fairlead/${var.project}/${var.environment}/${var.name}"
  name  = "${replace(var.name, "-", "_")}_${substr(sha256(local.owner), 0, 8)}"
}

resource "testing_password" "login" {}

resource "testing_postgres_role" "login" {
  name     = local.name
  owner    = local.owner
  password = testing_password.login.result
}

resource "testing_postgres_database" "data" {
  name             = local.name
  owner            = local.owner
  role             = testing_postgres_role.login.name
  connection_limit = var.connection_limit
}
