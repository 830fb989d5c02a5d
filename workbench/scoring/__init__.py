"""From observations to a recommendation: compare, gather the evidence, decide, and sum up in money.

>>> from workbench.scoring import compare, recommend
"""

from workbench.scoring.comparing import CompareReport, compare
from workbench.scoring.deciding import recommend, with_remarks
from workbench.scoring.evidence import compared_rows, evidence
from workbench.scoring.overview import OverviewRow, overview, overview_row, savings

__all__ = [
    "CompareReport",
    "OverviewRow",
    "compare",
    "compared_rows",
    "evidence",
    "overview",
    "overview_row",
    "recommend",
    "savings",
    "with_remarks",
]
