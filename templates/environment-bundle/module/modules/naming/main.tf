variable "service" {
  type = string
}

variable "environment" {
  type = string
}

output "database" {
  value = replace("${var.service}_${var.environment}", "-", "_")
}

output "host" {
  value = "${var.service}.${var.environment}.example.test"
}
