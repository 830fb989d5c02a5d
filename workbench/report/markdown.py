"""A report as Markdown: what came from outside is written so that it stays text."""

from __future__ import annotations

import re

from workbench.normal import visible
from workbench.report import wording
from workbench.report.facts import Report

_SIGN = re.compile(
    r"""
    (?P<harmless>
        (?<=\d)\.(?=\d)                    # 7.9
        | [.:,)](?=\ |$) | [(!)]             # Of sentences; what makes links of brackets is escaped.
        | (?<=[^\W_])[-_](?=[^\W_])         # Within a word.
        | (?<=\ )[-+=<>&](?=\ )             # Between words.
        | (?<=\d):(?=\d\d(?!\d))            # 12:30
    )
    | [\\`*_{}\[\]<>\#+\-.|~$:^=&@]
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"^(\d+)([.)])(?= |$)")
"""How a list that is numbered begins."""


def as_markdown(report: Report) -> str:
    """Return a report as one Markdown document.

    Args:
        report: What `gather_report` found.
    """
    lines = [f"# {plain(wording.title(report))}", "", f"**{plain(wording.headline(report))}**", ""]
    if alarm := wording.alarm(report):
        lines += [f"> **Override.** {plain(alarm)}", ""]
    if report.row.synthetic:
        lines += [wording.SYNTHETIC, ""]
    if report.description:
        lines += [plain(report.description), ""]
    lines += [f"- {name}: {plain(value)}" for name, value in wording.key_figures(report)]
    lines += ["", "## Why", "", *(f"- {plain(each)}" for each in wording.reasons(report))]
    missing = report.row.recommendation.missing
    lines += ["", "## What is missing", ""]
    lines += [f"- {plain(each)}" for each in missing] or ["Nothing for the next stage."]
    for table in wording.tables(report):
        lines += table_lines(table)
    lines += ["", "## Method", ""]
    lines += [f"- **{name}.** {text}" for name, text in wording.METHODS]
    lines += ["", f"Made on {wording.moment(report.made_at)}. No text of any call is in this report.", ""]
    return "\n".join(lines)


def table_lines(table: wording.Table) -> list[str]:
    """Return a table below its title, or what stands in its place."""
    lines = ["", f"## {table.title}", ""]
    if not table.rows:
        return [*lines, table.empty]
    lines.append("| " + " | ".join(table.header) + " |")
    lines.append("|" + " --- |" * len(table.header))
    return lines + ["| " + " | ".join(plain(cell) for cell in row) + " |" for row in table.rows]


def plain(text: str) -> str:
    """Return text from anywhere with every sign escaped that Markdown could take for one of its own.

    Args:
        text: Becomes one line.
    """
    whole = " ".join(visible(text, keep="").split())
    return _NUMBER.sub(r"\1\\\2", _SIGN.sub(_escaped, whole))


def _escaped(match: re.Match[str]) -> str:
    return match["harmless"] or f"\\{match[0]}"
