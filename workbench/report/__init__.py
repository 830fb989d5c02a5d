"""Reports that say what moves, how sure, and why: on one task and candidate, or on all tasks together."""

from workbench.report.facts import Report, gather_report
from workbench.report.html import as_html
from workbench.report.markdown import as_markdown
from workbench.report.portfolio import PortfolioReport, gather_portfolio
from workbench.report.portfolio_forms import portfolio_html, portfolio_markdown
from workbench.report.writing import write_report

__all__ = [
    "PortfolioReport",
    "Report",
    "as_html",
    "as_markdown",
    "gather_portfolio",
    "gather_report",
    "portfolio_html",
    "portfolio_markdown",
    "write_report",
]
