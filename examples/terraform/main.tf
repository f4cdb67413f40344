# A team, its project, an environment and a database in it.
terraform {
  required_providers {
    fairlead = { source = "fairlead.dev/fairlead/fairlead" }
  }
}

# FAIRLEAD_URL and FAIRLEAD_TOKEN say which server, and as whom.
provider "fairlead" {}

resource "fairlead_team" "books" {
  name  = "books"
  title = "Books"
}

resource "fairlead_project" "shop" {
  name = "bookshop"
  team = fairlead_team.books.name
}

resource "fairlead_environment" "dev" {
  project = fairlead_project.shop.name
  name    = "dev"
  class   = "development"
}

resource "fairlead_resource" "orders" {
  project     = fairlead_project.shop.name
  environment = fairlead_environment.dev.name
  name        = "orders"
  template    = "postgres"
  inputs      = { connection_limit = 20 }
  reveal      = true # secret outputs go into the state
}

output "database" {
  value = fairlead_resource.orders.outputs.database
}

output "url" {
  value     = fairlead_resource.orders.secret_outputs["url"]
  sensitive = true
}
