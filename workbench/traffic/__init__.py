"""What traffic consists of: templates, the shape of answers, fitness for a small model. Pure."""
