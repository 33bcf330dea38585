output "message" {
  description = "The whole greeting."
  value       = terraform_data.service.output.message
}

output "address" {
  description = "Where the service would answer."
  value       = "http://${terraform_data.service.output.host}:${terraform_data.service.output.port}/"
}

output "access_token" {
  description = "Masked wherever it is shown."
  value       = terraform_data.login.output.token
  sensitive   = true
}
