"""Shadow evaluation and migration workbench.

From the call logs you already have: how much traffic can move from a frontier
model to a small one, how sure that is, what it saves and what evidence is missing.

>>> from workbench import Workbench
>>> bench = Workbench("demo")                                     # doctest: +SKIP
>>> bench.recommend("support_triage", "planted").binding_reason   # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.facade import Workbench

__all__ = ["Workbench"]


def __getattr__(name: str) -> Any:
    """Load the facade when it is asked for: `workbench.capture` runs in applications without it."""
    if name == "Workbench":
        from workbench.facade import Workbench

        return Workbench
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
