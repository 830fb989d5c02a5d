"""From observations to a recommendation: compare, gather the evidence, decide, and sum up in money.

>>> from workbench.scoring import compare, recommend
"""

from workbench.scoring.comparing import CompareReport, compare
from workbench.scoring.deciding import recommend, with_remarks
from workbench.scoring.evidence import differing_calls, evidence
from workbench.scoring.overview import OverviewRow, overview, overview_row, savings
from workbench.scoring.portfolio import Portfolio, portfolio
from workbench.scoring.sizes import SizeLadder, size_ladder

__all__ = [
    "CompareReport",
    "OverviewRow",
    "Portfolio",
    "SizeLadder",
    "compare",
    "differing_calls",
    "evidence",
    "overview",
    "overview_row",
    "portfolio",
    "recommend",
    "savings",
    "size_ladder",
    "with_remarks",
]
