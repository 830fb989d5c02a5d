"""A report on one task and candidate: a single file that says what moves, how sure, and why."""

from workbench.report.facts import Report, gather_report
from workbench.report.html import as_html
from workbench.report.markdown import as_markdown
from workbench.report.writing import write_report

__all__ = ["Report", "as_html", "as_markdown", "gather_report", "write_report"]
