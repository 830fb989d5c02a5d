"""A report on all tasks together: what could move, what it saves, how sure that is, and how that is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench import access, scoring
from workbench.access import requires_somewhere
from workbench.config import Workspace
from workbench.costing.wording import amount
from workbench.journey import falls, headline, next_steps
from workbench.profiling.measuring import LEVEL
from workbench.progress import Listener, silent
from workbench.records import Policy, as_builtins, to_json
from workbench.report.wording import METHODS, Table, interval, moment, money, percent
from workbench.roles import Right
from workbench.rollout import in_force, shares_in_force
from workbench.scoring import OverviewRow, Portfolio, SizeLadder
from workbench.scoring.freshness import stale
from workbench.stats.wording import a_day, count
from workbench.stats.wording import percent as stage

if TYPE_CHECKING:
    from workbench.store import Store

TITLE = "What can move to a small model"
METHOD = (
    "All tasks together",
    "With T compared tasks and K candidates compared on a task, a task's bound is taken at its error "
    "probability divided by T K, so that the bounds of all tasks hold at once, whichever candidate is picked "
    "by looking (Bonferroni 1936). Their mean, weighted by the calls that move, bounds the share of moved "
    "calls that get worse. Where slices hold part of a task back, its harm may all be in what moves and is "
    "counted so, which weighs more than its calls alone; where the volume of a task is not known, the "
    "largest does. It holds for this set "
    "of tasks and is never below a task's own bound.",
)
MONEY_METHOD = (
    "Money",
    f"Savings come from dated prices, measured tokens, calls a day, and calls that fall back to the frontier "
    f"and are paid twice. Limits are {100 * LEVEL:.0f} % sure each, for one look, and those of a sum are "
    "the root of the sum of their squares, as errors that are independent add up (Zou and Donner 2008).",
)


@dataclass(frozen=True, slots=True)
class PortfolioReport:
    """Everything that a report on all tasks shows. `evidence_hash` changes with the figures behind it.

    `alarms` say where more is served than is recommended, each in a sentence.
    """

    made_at: datetime
    rows: tuple[OverviewRow, ...]
    portfolio: Portfolio
    sizes: tuple[SizeLadder, ...]
    policies: dict[str, Policy]
    evidence_hash: str
    alarms: tuple[str, ...] = ()


@requires_somewhere(Right.SEE)
def gather_portfolio(
    workspace: Workspace,
    store: Store,
    rows: Sequence[OverviewRow] | None = None,
    *,
    now: datetime | None = None,
    listener: Listener = silent,
) -> PortfolioReport:
    """Gather a report on all tasks that were compared.

    Args:
        workspace: Names evals, candidates and prices.
        store: Holds everything else.
        rows: What `scoring.overview` returned; worked out here unless given. Of tasks that who asks
            may not see any more they are left out.
        now: When the report is made; this moment unless given.
        listener: Is told how far that is.

    Raises:
        ConfigError: An eval is wrong: its task would be missing from the sums.
    """
    evals = workspace.every_eval
    if rows is None:
        rows = scoring.overview(
            workspace, store, share_of=shares_in_force(workspace, store), listener=listener
        )
    mine = [row for row in rows if access.may(Right.SEE, row.task)]
    ordered = tuple(sorted(mine, key=lambda row: (row.task, row.synthetic, row.candidate)))
    policies = {row.task: evals[row.task].policy for row in ordered}
    sizes = tuple(
        scoring.size_ladder([row for row in ordered if row.task == task], policy)
        for task, policy in policies.items()
    )
    known = to_json([as_builtins(ordered), as_builtins(policies)])
    return PortfolioReport(
        made_at=now or datetime.now(UTC),
        rows=ordered,
        portfolio=scoring.portfolio(ordered),
        sizes=sizes,
        policies=policies,
        evidence_hash=hashlib.sha256(known).hexdigest()[:16],
        alarms=tuple(_alarm(workspace, store, row) for row in ordered if falls(row)),
    )


def _alarm(workspace: Workspace, store: Store, row: OverviewRow) -> str:
    answer = row.recommendation
    held = in_force(workspace, store, row.task, row.candidate)
    why = held.sentence if held.raised else answer.binding_reason
    served = f"{stage(answer.current_share)} is served"
    return f"{row.task}, {row.candidate}: {served}. {headline(row)} {why}"


ALARM = "More moves than is recommended."


def title_line(report: PortfolioReport) -> str:
    """Return the answer as one sentence."""
    found = report.portfolio
    if not found.compared_tasks:
        return "No candidate of your own has been compared yet."
    tasks = f"{count(found.moving)} of {count(found.compared_tasks)} compared tasks can move"
    share = "" if found.share is None else f"; together that is {percent(found.share)} of their traffic next"
    return f"{tasks}{share}."


def key_figures(report: PortfolioReport) -> tuple[tuple[str, str], ...]:
    """Return the figures at the top: name and value."""
    found = report.portfolio
    high = _nothing(found) if found.harm_high is None else f"{percent(found.harm_high)} of moved calls"
    saving = amount(found.saving_usd_month) if found.moving else money(0.0)
    if found.unpriced:
        saving += f", without {', '.join(found.unpriced)}"
    return (
        ("Tasks that can move", f"{count(found.moving)} of {count(found.compared_tasks)}"),
        ("Traffic that moves now", percent(found.present)),
        ("Traffic that could move next", percent(found.share)),
        ("Evidence reaches", percent(found.reach)),
        ("Calls a day that would move", _calls(found.moved_per_day)),
        ("Harm at most", high),
        ("Harmed calls a day at most", _harmed(found)),
        ("Saving a month", saving),
    )


def tables(report: PortfolioReport) -> tuple[Table, ...]:
    """Return all tables in their order."""
    return (
        Table(
            "Tasks",
            (
                "Task",
                "Candidate",
                "Next",
                "Of its traffic",
                "Evidence reaches",
                "Harm at most*",
                "Saving a month",
            ),
            tuple(
                (
                    each.task,
                    each.candidate,
                    stage(each.share),
                    percent(each.effective_share),
                    stage(each.cap),
                    percent(each.harm_high) if each.effective_share > 0 else "–",
                    amount(each.saving_usd_month),
                )
                for each in report.portfolio.parts
            ),
            "No candidate of your own has been compared yet.",
        ),
        Table(
            "Sizes",
            ("Task", "What the sizes say"),
            tuple((each.task, each.sentence) for each in report.sizes),
            "Nothing has been compared yet.",
        ),
        Table(
            "Candidates",
            ("Task", "Candidate", "Answer", "Harm", "Compared", "Labels", "Saving if all moved", "Next step"),
            tuple(
                (
                    row.task,
                    f"{row.candidate} (synthetic)" if row.synthetic else row.candidate,
                    headline(row),
                    interval(row.recommendation.harm),
                    f"{row.compared:,} of {row.calls:,}",
                    f"{row.labels:,}",
                    amount(row.saving_of_all),
                    next_steps(row)[0].words,
                )
                for row in report.rows
            ),
            "Nothing has been compared yet.",
        ),
        Table(
            "Ages",
            ("Task", "Candidate", "Last logged call", "Last replay", "Last label", "Stale"),
            tuple(
                (
                    row.task,
                    row.candidate,
                    moment(row.ages.last_call_at),
                    moment(row.ages.last_replay_at),
                    "never" if row.ages.last_label_at is None else moment(row.ages.last_label_at),
                    " ".join(stale(row.ages, report.made_at)) or "no",
                )
                for row in report.rows
            ),
            "Nothing has been compared yet.",
        ),
    )


def methods() -> tuple[tuple[str, str], ...]:
    """Return name and text of every method that a figure rests on."""
    return (METHOD, MONEY_METHOD, *METHODS)


def footnote(report: PortfolioReport) -> str:
    """Return what stands at the end: the level of the bounds, the date, the hash."""
    level = report.portfolio.level
    nothing = _nothing(report.portfolio).capitalize()
    sure = nothing if level is None else f"At once for all tasks, {stage(level)} sure together"
    return (
        f"* {sure}. Made on {moment(report.made_at)}, evidence hash {report.evidence_hash}. "
        "No text of any call is in this report."
    )


def _harmed(found: Portfolio) -> str:
    if not found.moving:
        return _nothing(found)
    return "not known" if found.harm_per_day is None else a_day(found.harm_per_day)


def _nothing(found: Portfolio) -> str:
    return "nothing may move" if found.present else "nothing moves"


def _calls(number: float | None) -> str:
    return "not known" if number is None else f"{number:,.1f}"
