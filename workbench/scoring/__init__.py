"""From observations to a recommendation: compare, gather the evidence, decide, and sum up in money.

>>> from workbench.scoring import compare, recommend
"""

from workbench.scoring.comparing import CompareReport, compare
from workbench.scoring.deciding import recommend
from workbench.scoring.evidence import compared_rows, evidence
from workbench.scoring.overview import OverviewRow, overview, overview_row, savings
from workbench.scoring.retirement import leaving

__all__ = [
    "CompareReport",
    "OverviewRow",
    "compare",
    "compared_rows",
    "evidence",
    "leaving",
    "overview",
    "overview_row",
    "recommend",
    "savings",
]
