variable "greeting" {
  description = "How to greet."
  type        = string
  default     = "Hello"

  validation {
    condition     = length(trimspace(var.greeting)) > 0
    error_message = "The greeting must not be empty."
  }
}

variable "subject" {
  description = "Whom to greet; becomes the first part of the host name."
  type        = string
  default     = "world"
}

variable "port" {
  description = "The port in the address."
  type        = number
  default     = 8080

  validation {
    condition     = var.port >= 1 && var.port <= 65535 && floor(var.port) == var.port
    error_message = "The port must be a whole number from 1 to 65535."
  }
}

variable "access_token" {
  description = "Shows how a sensitive value stays out of logs and outputs. Protects nothing."
  type        = string
  default     = "an-example-and-no-secret"
  sensitive   = true
}
