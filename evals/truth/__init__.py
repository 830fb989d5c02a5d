"""Worlds with known truth: the workbench measured by its own promises.

`python -m evals.truth` runs every section on fixed seeds and prints one table: the
world, what is promised, what was measured and with which Monte Carlo error, and the
bar. It ends with code 1 where a bar is missed. Everything measured goes through the
functions that decide in production.
"""
