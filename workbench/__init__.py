"""Shadow evaluation and migration workbench.

From the call logs you already have: how much traffic can move from a frontier
model to a small one, how sure that is, what it saves and what evidence is missing.

>>> from workbench import Workbench
>>> bench = Workbench("demo")                                     # doctest: +SKIP
>>> bench.recommend("support_triage", "planted").binding_reason   # doctest: +SKIP
"""

from workbench.facade import Workbench

__all__ = ["Workbench"]
