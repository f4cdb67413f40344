variable "name" {
  type        = string
  description = "What the developer calls it."
}

variable "project" {
  type        = string
  description = "Whose it is, with environment and name: the marker of all that is made."
}

variable "environment" {
  type = string
}

variable "server_url" {
  type        = string
  description = "Administrator's URL of the PostgreSQL server."
  sensitive   = true
}

variable "connection_limit" {
  type        = number
  description = "How many sessions may be open at once."
  default     = 20
}
