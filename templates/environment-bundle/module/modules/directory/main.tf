variable "entries" {
  type = map(string)
}

resource "terraform_data" "entry" {
  for_each = var.entries
  input    = each.value
}

output "entries" {
  value = { for k, e in terraform_data.entry : k => e.output }
}
