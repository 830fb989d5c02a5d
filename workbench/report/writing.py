"""Writing a report to a file: HTML or Markdown by its name, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from workbench.errors import UsageError
from workbench.report.facts import Report
from workbench.report.html import as_html
from workbench.report.markdown import as_markdown
from workbench.report.portfolio import PortfolioReport
from workbench.report.portfolio_forms import portfolio_html, portfolio_markdown

HTML, MARKDOWN = ".html", ".md"
FORMS = {HTML: HTML, ".htm": HTML, MARKDOWN: MARKDOWN}


def write_report(report: Report | PortfolioReport, path: Path) -> None:
    """Write a report; what was there before stays until the new one is complete.

    Args:
        report: What `gather_report` or `gather_portfolio` found.
        path: Ends in .html or .md.

    Raises:
        UsageError: The name has another ending, or the file can't be written.
    """
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path} ends in neither .html nor .md.", "Name the file with one of these endings.")
    try:
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(written(report, form))
            Path(unfinished).chmod(0o644)
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"{path}: the report can't be written there: {error.strerror or error}.", "Name another file."
        ) from error


def written(report: Report | PortfolioReport, form: str) -> str:
    """Return a report as text.

    Args:
        report: What `gather_report` or `gather_portfolio` found.
        form: `HTML` or `MARKDOWN`.
    """
    if isinstance(report, PortfolioReport):
        return portfolio_html(report) if form == HTML else portfolio_markdown(report)
    return as_html(report) if form == HTML else as_markdown(report)
