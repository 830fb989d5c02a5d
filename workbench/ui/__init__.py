"""Reusable pieces of the app: figures are pure functions, views read and write through use cases."""
