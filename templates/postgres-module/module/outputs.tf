output "database" {
  value = testing_postgres_database.data.name
}

output "username" {
  value = testing_postgres_role.login.name
}

output "password" {
  value     = testing_password.login.result
  sensitive = true
}
