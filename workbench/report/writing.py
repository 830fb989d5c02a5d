"""Writing a report to a file: HTML or Markdown by its name, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from workbench.errors import UsageError
from workbench.report.facts import Report
from workbench.report.html import as_html
from workbench.report.markdown import as_markdown

WRITERS = {".html": as_html, ".htm": as_html, ".md": as_markdown}


def write_report(report: Report, path: Path) -> None:
    """Write a report; what was there before stays until the new one is complete.

    Args:
        report: What `gather_report` found.
        path: Ends in .html or .md.

    Raises:
        UsageError: The name has another ending, or the file can't be written.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"{path} ends in neither .html nor .md.", "Name the file with one of these endings.")
    try:
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(writer(report))
            Path(unfinished).chmod(0o644)
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"{path}: the report can't be written there: {error.strerror or error}.", "Name another file."
        ) from error
