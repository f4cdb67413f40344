variable "name" {
  type = string
}

variable "size" {
  type = string
  validation {
    condition     = contains(["small", "medium", "large"], var.size)
    error_message = "The size is small, medium or large."
  }
}

locals {
  connections = { small = 10, medium = 50, large = 200 }
}

resource "terraform_data" "database" {
  input = { name = var.name, connection_limit = local.connections[var.size] }
}

output "name" {
  value = terraform_data.database.output.name
}

output "connection_limit" {
  value = terraform_data.database.output.connection_limit
}

output "address" {
  value = "db.example.test/${terraform_data.database.output.name}"
}
