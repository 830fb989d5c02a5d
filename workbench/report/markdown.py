"""A report as Markdown: what came from outside is written so that it stays text."""

from __future__ import annotations

import re

from workbench.normal import visible
from workbench.report import wording
from workbench.report.facts import Report

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&@])")


def as_markdown(report: Report) -> str:
    """Return a report as one Markdown document.

    Args:
        report: What `gather_report` found.
    """
    lines = [f"# {_plain(wording.title(report))}", "", f"**{_plain(wording.headline(report))}**", ""]
    if alarm := wording.alarm(report):
        lines += [f"> **Override.** {_plain(alarm)}", ""]
    if report.row.synthetic:
        lines += ["This candidate is made up for demonstration.", ""]
    if report.description:
        lines += [_plain(report.description), ""]
    lines += [f"- {name}: {_plain(value)}" for name, value in wording.key_figures(report)]
    lines += ["", "## Why", "", *(f"- {_plain(each)}" for each in wording.reasons(report))]
    missing = report.row.recommendation.missing
    lines += ["", "## What is missing", ""]
    lines += [f"- {_plain(each)}" for each in missing] or ["Nothing for the next stage."]
    for table in wording.tables(report):
        lines += ["", f"## {table.title}", ""]
        if not table.rows:
            lines.append(table.empty)
            continue
        lines.append("| " + " | ".join(table.header) + " |")
        lines.append("|" + " --- |" * len(table.header))
        lines += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in table.rows]
    lines += ["", "## Method", ""]
    lines += [f"- **{name}.** {text}" for name, text in wording.METHODS]
    lines += ["", f"Made on {wording.moment(report.made_at)}. No text of any call is in this report.", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(visible(text, keep="").split()))
