"""The commands that are groups, or have many options: one module each."""
