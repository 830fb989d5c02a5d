"""What an import did, beside its equation; and how far it is while it reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import streamlit as st

from workbench.ingest import ImportReport
from workbench.ingest.report import (
    told_rates,
    told_readings,
    told_reasons,
    told_renamed,
    told_times,
    told_unrendered,
)
from workbench.progress import Progress
from workbench.ui import words
from workbench.ui.diff import visible


class Pace:
    """Says how far a piece of work is, how fast it goes and how long it may still take.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}

    def __call__(self, progress: Progress) -> str:
        """Return it in words. The first second of a stage says nothing of its pace."""
        said = f"{progress.stage.capitalize()}: {progress.done:,} {progress.unit}"
        since, first = self._begun.setdefault(progress.stage, (self._clock(), progress.done))
        seconds = self._clock() - since
        per_s = progress.per_s
        if per_s is None and seconds >= 1:
            per_s = (progress.done - first) / seconds
        if not per_s:
            return said
        left = progress.left_s
        if left is None and progress.total:
            left = (progress.total - progress.done) / per_s
        more = f", about {words.duration(left)} left" if left is not None and left >= 1 else ""
        return f"{said}, {per_s:,.0f} a second{more}"


def details(report: ImportReport) -> None:
    """Show why records were rejected or passed over, what is marked, and what came beside the calls."""
    known = report.skipped - sum(report.skip_reasons.values())
    stored = {"stored already, nothing to add": known} if known > 0 else {}
    for caption, reasons in (
        ("Rejected because", dict(told_reasons(report))),
        ("Passed over", report.skip_reasons | stored),
    ):
        if reasons:
            st.caption(caption)
            st.text("\n".join(visible(f"{count:,} × {reason}") for reason, count in reasons.items()))
    _counts("Marked", {words.told(mark, words.MARKS): count for mark, count in report.marks.items()})
    if report.repaired:
        st.warning(visible(report.repaired), icon=":material/warning:")
    for hint in (
        *([report.unread] if report.unread else []),
        *told_times(report),
        *told_readings(report),
        *told_unrendered(report),
        *told_rates(report),
    ):
        st.warning(visible(hint), icon=":material/warning:")
    if report.redacted is not None:
        found = {kind.lower(): count for kind, count in report.redacted.items()}
        _counts("Replaced by placeholders", found, "nothing was found")
    _counts("By task", report.tasks)
    if report.renamed_tasks:
        st.text(visible(told_renamed(report.renamed_tasks)))
    if report.gold:
        st.caption("Known right answers")
        st.text(f"{report.gold:,} new; the next comparison makes labels of them.")
    _counts("Imported labels, shown beside their calls and in no bound", report.labels)
    if report.labels_without_call:
        st.text(f"{report.labels_without_call:,} of them name a call that is not here (yet).")
    for name, figures in report.found.items():
        st.caption(name.capitalize())
        st.text(visible(figures))
    if report.unrecognised:
        st.caption("Not recognised, left out")
        for each in report.unrecognised[:10]:
            st.text(visible(f"{each['name']}: {each['reason']}"))
    _counts(
        "Lost by capture, never in these logs",
        report.capture_lost,
    )


def _counts(caption: str, counts: Mapping[str, int], nothing: str = "") -> None:
    if counts or nothing:
        st.caption(caption)
        st.text(visible(", ".join(f"{count:,} {name}" for name, count in counts.items()) or nothing))
