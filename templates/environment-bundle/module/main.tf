variable "service" {
  type = string
}

variable "environment" {
  type = string
}

variable "size" {
  type    = string
  default = "small"
}

variable "site" {
  type    = bool
  default = true
}

module "naming" {
  source      = "./modules/naming"
  service     = var.service
  environment = var.environment
}

module "database" {
  source = "./modules/database"
  name   = module.naming.database
  size   = var.size
}

module "site" {
  count  = var.site ? 1 : 0
  source = "./modules/site"
  host   = module.naming.host
}

# It takes what the others gave, so it comes last and goes first.
module "directory" {
  source = "./modules/directory"
  entries = merge(
    { database = module.database.address },
    var.site ? { site = module.site[0].url } : {},
  )
}

output "directory" {
  value = module.directory.entries
}

output "database" {
  value = module.database.name
}

output "connection_limit" {
  value = module.database.connection_limit
}
