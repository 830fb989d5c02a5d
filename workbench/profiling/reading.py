"""A profile for those who see numbers and may not read the text of calls: without a word of one."""

from __future__ import annotations

from dataclasses import replace

from workbench import access
from workbench.profiling.report import ProfileReport, WorkloadReport
from workbench.records import UNASSIGNED
from workbench.roles import Right


def for_reader(report: ProfileReport) -> ProfileReport:
    """Return a profile as who acts now may read it.

    Workloads whose calls they may not read keep every figure. What their prompts share, the rule that takes
    them and the fields and tools of their answers are left out, their answers are numbered, and so are
    workloads that were found, whose names are words of their prompts.

    Args:
        report: As it is kept.
    """
    workloads: list[WorkloadReport] = []
    names: dict[str, str] = {}
    for each in report.workloads:
        if access.may(Right.READ, each.workload if each.is_task else None):
            workloads.append(each)
            continue
        kept = _without_words(each, f"found {len(names) + 1}")
        if kept.name != each.name:
            names[each.name] = kept.name
        workloads.append(kept)
    unknown = tuple(names.get(name, name) for name in report.unknown_volume)
    return replace(report, workloads=tuple(workloads), unknown_volume=unknown)


def _without_words(each: WorkloadReport, number: str) -> WorkloadReport:
    labels = {f"answer {place}": n for place, n in enumerate(each.shape.labels.values(), start=1)}
    return replace(
        each,
        name=each.name if each.is_task or each.name == UNASSIGNED else number,
        template="",
        rule=None,
        shape=replace(each.shape, labels=labels, schema=None, tools={}),
    )
