variable "host" {
  type = string
}

resource "terraform_data" "site" {
  input = var.host
}

output "url" {
  value = "https://${terraform_data.site.output}/"
}
