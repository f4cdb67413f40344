variable "name" {
  type = string
}

variable "title" {
  type = string
}

variable "domain" {
  type    = string
  default = "example.test"
}

variable "pages" {
  type    = map(string)
  default = {}
}

locals {
  index = "<!doctype html><title>${var.title}</title><h1>${var.title}</h1><ul>${join("", [for p in sort(keys(var.pages)) : "<li><a href=\"/${p}\">${p}</a>"])}</ul>"
}

resource "terraform_data" "index" {
  input = local.index
}

resource "terraform_data" "page" {
  for_each = var.pages
  input    = "<!doctype html><title>${var.title}: ${each.key}</title>${each.value}"
}

output "url" {
  value = "https://${var.name}.${var.domain}/"
}

output "pages" {
  value = concat(["index"], sort(keys(var.pages)))
}

output "digest" {
  value = sha256(jsonencode([terraform_data.index.output, { for k, p in terraform_data.page : k => p.output }]))
}
