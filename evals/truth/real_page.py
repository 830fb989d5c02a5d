"""`docs/truth-real.md`, made from the real data below WORKBENCH_DATA: `python -m evals.truth.real_page`.

What became of every candidate, one by one, and what a judge alone would have said. Figures of whole tasks,
no answers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from evals.truth.page import ROOT, replaced
from evals.truth.real_judges import DRAWS, LABELS, Coverage, covers, folder, llmbar
from evals.truth.real_labels import CONTROL, GOAL, Course, courses
from workbench.records import Policy

PAGE = ROOT / "docs" / "truth-real.md"
_HELD = {
    "outcome_groups": "a label it misses",
    "invalid_outputs": "invalid answers",
    "proven_harm": "harm is proven",
}
"""Guards in words; others by their name."""


def candidates(found: Sequence[Course]) -> Iterator[str]:
    """Yield the table of candidates, those that lose most last, task by task.

    Args:
        found: Both courses of each pair, as `real_labels.courses` returns them.
    """
    yield (
        "| task | candidate | true loss, points | disagree | by regressions: share, cap, labels | "
        "by net: share, cap, labels | reaches 25 % on | held by |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for plain, balance in _pairs(found):
        pair = plain.pair
        reached = [each.harm for each in (plain, balance) if each.final_cap >= GOAL]
        held = dict.fromkeys(name for each in (plain, balance) for name in each.steps[-1].held_by)
        yield (
            f"| {pair.task} | {pair.candidate} | {pair.loss:+.1%}{', proven' if pair.provably_worse else ''} "
            f"| {pair.disagreements / pair.n:.1%} | {_course(plain)} | {_course(balance)} "
            f"| {' and '.join(reached) or 'neither'} | {', '.join(_HELD.get(each, each) for each in held)} |"
        )


def _pairs(found: Iterable[Course]) -> list[tuple[Course, Course]]:
    by_pair: dict[tuple[str, str], dict[str, Course]] = {}
    for each in found:
        by_pair.setdefault((each.pair.task, each.pair.candidate), {})[each.harm] = each
    pairs = [(each["regressions"], each["net"]) for each in by_pair.values()]
    return sorted(pairs, key=lambda each: (each[0].pair.task, each[0].pair.loss, each[0].pair.candidate))


def _course(course: Course) -> str:
    labels = course.labels_to_goal
    used = min(course.steps[-1].labels, course.pair.disagreements) if labels is None else labels
    return f"{course.highest_share:.0%}, {course.final_cap:.0%}, {used}"


def judges(found: Iterable[Coverage]) -> Iterator[str]:
    """Yield the table of judges, those furthest from the truth first."""
    yield (
        "| judge | items | people prefer the first | the judge says | off by "
        f"| its own 95 % interval holds it | {LABELS} labels beside it hold it, of {DRAWS} draws |"
    )
    yield "|---|---|---|---|---|---|---|"
    for each in sorted(found, key=lambda each: -abs(each.judge_rate - each.judged.truth)):
        judged = each.judged
        yield (
            f"| {judged.judge} | {judged.people.size} | {judged.truth:.1%} | {each.judge_rate:.1%} "
            f"| {each.judge_rate - judged.truth:+.1%} | {'yes' if each.alone else '**no**'} "
            f"| {each.covered / each.draws:.1%} |"
        )


def text(labels: Path, judged: Path) -> str:
    """Return what stands between the marks of the page.

    Args:
        labels: The folder `textclass`.
        judged: The folder `llmbar`.
    """
    found = courses(labels)
    worse = [each for each in found if each.pair.provably_worse]
    close = [each for each in found if each.pair.loss <= Policy().tolerance]
    counts = [
        f"{len(worse) // 2} of {len(found) // 2} pairs of a task and a candidate are provably more than 5 "
        f"points worse than {CONTROL}. Of these {sum(each.highest_share > 0 for each in worse)} held any "
        "traffic at any look on either basis."
    ]
    for harm in ("regressions", "net"):
        reached = sum(each.final_cap >= GOAL for each in close if each.harm == harm)
        counts.append(f"Of the {len(close) // 2} within 5 points {reached} reach a cap of 25 % by {harm}.")
    results = [covers(each) for each in llmbar(judged)]
    misled = [each for each in results if not each.alone]
    furthest = max(abs(each.judge_rate - each.judged.truth) for each in results)
    said = (
        f"{len(misled)} of {len(results)} judges would mislead whoever asked them alone: the interval from "
        f"all of their verdicts misses what people say, by up to {furthest * 100:.1f} points. The same "
        "verdicts with few labels beside them do not, within their level."
    )
    return "\n".join(
        [
            "## Candidates",
            " ".join(counts),
            "",
            *candidates(found),
            "",
            "## Judges",
            said,
            "",
            *judges(results),
        ]
    )


def main() -> int:
    """Write the page; return 1 where there is no data."""
    labels, judged = folder("textclass"), folder("llmbar")
    if labels is None or judged is None:
        print("WORKBENCH_DATA names no folder with textclass and llmbar.", file=sys.stderr)
        return 1
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, text(labels, judged)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
