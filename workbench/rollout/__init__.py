"""From a recommendation to what is served: shares that people accept, what is in force, and its export.

>>> from workbench.rollout import accept, decisions, export_ramp
"""

from workbench.rollout.accepting import accept, present_actor
from workbench.rollout.decisions import Decision, Moves, Standing, standing
from workbench.rollout.exporting import RampExport, export_ramp, write_ramp
from workbench.rollout.log import LogEntry, broken_entries, decisions, in_force, shares_in_force
from workbench.rollout.what_if import WhatIf, what_if

__all__ = [
    "Decision",
    "LogEntry",
    "Moves",
    "RampExport",
    "Standing",
    "WhatIf",
    "accept",
    "broken_entries",
    "decisions",
    "export_ramp",
    "in_force",
    "present_actor",
    "shares_in_force",
    "standing",
    "what_if",
    "write_ramp",
]
