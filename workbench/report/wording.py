"""The sentences and tables of a report, the same in HTML and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workbench.costing.wording import amount
from workbench.costing.wording import money as in_dollars
from workbench.journey import held_back, told_held_back
from workbench.records import Action, Basis, Estimate, Recommendation
from workbench.report.facts import LogFile, Report
from workbench.review.states import APART_SOURCES, LOOKING_SOURCES
from workbench.scoring.sizes import judged
from workbench.specs import NO_GUIDELINES
from workbench.stats.ladder import EPSILON
from workbench.stats.slice_shares import bounds_at_once
from workbench.stats.wording import a_day, guard, holds_for
from workbench.stats.wording import percent as stage

SYNTHETIC = (
    "This candidate is synthetic: made from the frontier's answers with planted mistakes, to show that they "
    "are found."
)

ORIGINS = {
    "queue": "the queue",
    "picked": "picked by hand",
    "by_hand": "a first look, in no bound",
    "attention": "attention checks, in no bound",
    "adjudicated": "decisions between labels that differed",
    "imported": "imported: who gave them is not known here",
    "gold": "right answers known before",
}
GIVEN_HERE = LOOKING_SOURCES | APART_SOURCES

METHODS = (
    (
        "Upper bound on harm",
        "A call is harmed where a reviewer says the frontier's output was better. The bound is a confidence "
        "sequence from a mixture of likelihood ratios (Robbins 1970; Howard et al. 2021): it holds however "
        "often anybody looks at it, so looking every day breaks nothing.",
    ),
    (
        "Structural tasks",
        "Outputs that are equal after the normalisation that the eval declares can't harm anybody. Before "
        "anyone has labelled, every disagreement counts as harm.",
    ),
    (
        "Semantic tasks",
        "Similarity orders the queue and never moves traffic. Pairs are drawn with stored probabilities, "
        "agreeing ones too, and weighted by them (Waudby-Smith and Ramdas 2024).",
    ),
    (
        "Clusters",
        "Calls of one session and identical requests depend on each other, so they tell less than as many "
        "independent calls. Counts are divided by how much less (the design effect), at least by the planned "
        "one; the confidence is approximate then.",
    ),
    (
        "Slices",
        "The worst stand first. A slice's share rests on its own bound. All at once is the bound for whoever "
        "looks for the worst of them: its error probability is divided by the number of slices (Bonferroni).",
    ),
    (
        "Missing evidence",
        "An item that nobody resolved, an invalid answer, a lapsed draw count against the candidate. "
        "What is not known never raises a share.",
    ),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its title, what stands above the columns, and the rows."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = ""


def percent(share: float | None) -> str:
    """Return a share with one decimal, or a dash where it is not known."""
    if share is None:
        return "–"
    shown = f"{100 * share:.1f} %".removeprefix("-")
    return f"−{shown}" if share < 0 and shown != "0.0 %" else shown


def estimated(rate: float | None) -> str:
    """Return an estimated share, or that there is no estimate."""
    return "not known" if rate is None else percent(rate)


def interval(estimate: Estimate) -> str:
    """Return an estimate with its limits and what it rests on."""
    return (
        f"{estimated(estimate.point)} ({percent(estimate.low)} to {percent(estimate.high)}, "
        f"n = {estimate.n:,.0f}, worth {estimate.n_effective:,.0f})"
    )


def money(usd: float | None) -> str:
    """Return US dollars as everywhere, or that they are not known."""
    return "not known" if usd is None else in_dollars(usd)


def moment(time: datetime | None) -> str:
    """Return a time in UTC to the minute, or that it is not known."""
    return "not known" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


def _calls_of(file: LogFile) -> str:
    """Return how many calls a file brought, or those of all files of its import where it is not known."""
    return f"{file.calls:,}" + (f" in {file.files} files together" if file.files > 1 else "")


def _guidelines(version: str | None) -> str:
    """Return a version of guidelines; without any it would be the hash of nothing."""
    return "none" if version == NO_GUIDELINES else version or "–"


def title(report: Report) -> str:
    """Return the title of a report."""
    return f"{report.row.task}: {report.row.candidate}"


def headline(report: Report) -> str:
    """Return the recommendation as one sentence."""
    found = report.row.recommendation
    share, cap = stage(found.share), stage(found.cap)
    if held_back(found):
        return f"{told_held_back(found)}."
    sentences = {
        Action.COLLECT: f"Collect evidence; nothing moves yet. The evidence supports up to {cap}.",
        Action.HOLD: f"Hold at {share}. The evidence supports up to {cap}.",
        Action.RAMP: f"Move to {share}. The evidence supports up to {cap}.",
        Action.STEP_DOWN: f"Step down to {share}.",
        Action.ROLLBACK: f"Roll back to {share}.",
        Action.STOP: "Stop: the candidate is proven to be worse than the tolerance allows.",
    }
    return sentences[found.action]


def key_figures(report: Report) -> tuple[tuple[str, str], ...]:
    """Return the figures at the top: name and value."""
    row, found = report.row, report.row.recommendation
    return (
        ("Share now", stage(found.current_share)),
        ("Accepted share", stage(report.accepted.share)),
        ("Recommended share", stage(found.share)),
        ("Effective share, over slices", percent(found.effective_share)),
        ("Cap by evidence", stage(found.cap)),
        ("Harm at most", f"{percent(found.harm.high)} of calls ({stage(found.harm.level)} sure)"),
        ("Tolerance", percent(report.policy.tolerance)),
        ("The bound", holds_for(judged(found, report.policy).high, report.policy)),
        ("Harmed calls a day at most, at the recommended share", _harmed(found)),
        *_harmed_now(found),
        ("Saving a month, of what moves", amount(row.saving)),
        ("Cost a month now", money(row.cost_now_usd_month)),
    )


def _harmed(found: Recommendation) -> str:
    if found.effective_share <= EPSILON:
        return "nothing moves at it"
    return "no figure" if found.harm_per_day_at_most is None else a_day(found.harm_per_day_at_most)


def _harmed_now(found: Recommendation) -> tuple[tuple[str, str], ...]:
    """Return the bound at the share served now, where that is above the recommended one."""
    now = found.details["harm_per_day_now"]
    return () if now is None else (("Harmed calls a day at most, at the share now", a_day(now)),)


def alarm(report: Report) -> str:
    """Return what has to be said before all else: an override above the recommended share."""
    if not report.accepted.raised:
        return ""
    return f"More moves than is recommended. {report.accepted.sentence}"


def reasons(report: Report) -> Sequence[str]:
    """Return why, the binding reason first."""
    found = report.row.recommendation
    return list(dict.fromkeys((found.binding_reason, *found.reasons)))


def tables(report: Report) -> tuple[Table, ...]:
    """Return all tables in their order."""
    row, found = report.row, report.row.recommendation
    basis = "structural: equality after normalisation" if row.basis is Basis.STRUCTURAL else "semantic"
    high_at_once = {key: each.high for key, each in bounds_at_once(found).items()}
    floor = "not measured" if row.floor is None else interval(row.floor.agreement)
    return (
        Table(
            "Evidence",
            ("What", "Value"),
            (
                ("Calls in the log", f"{row.calls:,}"),
                ("Time span", f"{moment(report.first_at)} to {moment(report.last_at)}"),
                ("Compared", f"{row.compared:,}"),
                ("Agreement", interval(row.agreement)),
                ("Invalid answers", f"{row.invalid:,}"),
                ("Not comparable", f"{row.uncomparable:,}"),
                ("Pairs with a verdict, wherever from", f"{row.labels:,}"),
                ("Harm", interval(found.harm)),
                ("Worse minus better", interval(found.net)),
                ("Basis", basis),
                ("Frontier's agreement with itself", floor),
            ),
        ),
        Table(
            "Slices",
            (
                *("Slice", "Of traffic", "Share", "Own cap", "State"),
                *("Harm at most", "All at once", "Calls", "Why"),
            ),
            tuple(
                (
                    f"{each.name} = {each.value}",
                    percent(each.traffic_share),
                    stage(each.share),
                    stage(each.cap),
                    each.status,
                    percent(each.harm.high),
                    percent(high_at_once.get((each.name, each.value))),
                    f"{each.n:,.0f}",
                    each.reason,
                )
                for each in found.slices
            ),
            "The eval declares no slices.",
        ),
        Table(
            "Guards",
            ("Guard", "State", "What it says"),
            tuple(
                (guard(each.name), "passed" if each.ok else "not passed", each.message)
                for each in found.guards
            ),
            "No guard applies.",
        ),
        Table(
            "Decisions",
            (
                *("When", "Who", "Share", "Recommended", "Served then", "Ends", "Reason", "Evidence"),
                *("Policy", "Entry"),
            ),
            tuple(
                (
                    moment(each.decision.decided_at),
                    each.decision.decided_by,
                    stage(each.decision.share),
                    stage(each.decision.recommended_share),
                    each.served_then,
                    moment(each.decision.expires_at) if each.decision.expires_at else "–",
                    " ".join(each.decision.reason.split()) or "–",
                    each.decision.evidence_hash,
                    each.decision.policy_version,
                    "as written" if each.intact else "NOT as written",
                )
                for each in report.decisions
            ),
            "Nobody has accepted a share yet.",
        ),
        Table(
            "Labels",
            ("From", "Guidelines", "Labels", "People here"),
            tuple(
                (
                    ORIGINS.get(each.source, each.source),
                    _guidelines(each.guideline_version),
                    f"{each.labels:,}",
                    f"{each.people:,}" if each.source in GIVEN_HERE else "–",
                )
                for each in report.labels
            ),
            "There are no labels yet.",
        ),
        Table(
            "Replays",
            ("Replay", "Began", "Planned", "Answered", "Seed"),
            tuple(
                (
                    each.replay_id,
                    moment(each.created_at),
                    f"{each.planned:,}",
                    f"{each.answered:,}",
                    str(each.seed),
                )
                for each in report.replays
            ),
        ),
        Table(
            "Data",
            ("File", "Source", "Calls of this task", "SHA-256"),
            tuple((each.name, each.source, _calls_of(each), each.sha256) for each in report.log_files),
        ),
        Table(
            "Versions",
            ("What", "Value"),
            (
                *((name.capitalize(), str(value)) for name, value in report.candidate.items() if value),
                ("Evaluator version", report.evaluator_version),
                ("Guideline version", _guidelines(report.guideline_version)),
                ("Evidence hash", report.evidence_hash),
            ),
        ),
    )
