# A configuration that runs anywhere: its only resource type is built into
# terraform and tofu, so nothing is downloaded and nothing outside is changed.

terraform {
  required_version = ">= 1.4.0"
}

locals {
  message = "${var.greeting}, ${var.subject}!"
  host    = "${lower(replace(var.subject, "/[^A-Za-z0-9]+/", "-"))}.example.com"
}

# Stands for what a real configuration would build: changing the greeting
# updates it in place, changing the subject replaces it.
resource "terraform_data" "service" {
  input = {
    message = local.message
    host    = local.host
    port    = var.port
  }
  triggers_replace = [local.host]
}

# Depends on the service, so that the order of an apply can be seen in the log.
resource "terraform_data" "login" {
  input = {
    user  = "operator"
    token = var.access_token
    host  = terraform_data.service.output.host
  }
}
