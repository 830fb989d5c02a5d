"""How many cases of one candidate there are of each kind: what a page can filter by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.access import requires
from workbench.compare import by_rule
from workbench.compare.custom import EVALUATOR_ERROR
from workbench.records import Verdict
from workbench.roles import Right
from workbench.store.case_filter import Pool, compared, key_of

if TYPE_CHECKING:
    from workbench.store import Store

FACET_LIMIT = 40


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """How a pool's cases compare.

    `scored` of them have a score, `ignored` counts them by the ignore rule that made them equal.
    """

    verdicts: Mapping[str, int] = field(default_factory=dict)
    scored: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Return how many cases the pool has."""
        return sum(self.verdicts.values())


@dataclass(frozen=True, slots=True)
class Facets:
    """What can be filtered by beside the verdict, with counts.

    Flags are of the pool; languages are of all calls of the task, errors of all answers of the candidate.
    """

    languages: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


@requires(Right.SEE, Right.READ, task=lambda given: given["pool"].task)
def verdict_counts(store: Store, pool: Pool) -> VerdictCounts:
    """Return how a pool's cases compare, from one look at them; what a page shows first."""
    found = store.rows(
        f"""SELECT verdict, ignored_by, count(*) AS n, count(score) AS scored
            FROM {compared(store, pool)} x GROUP BY ALL ORDER BY n DESC, verdict, ignored_by""",  # noqa: S608
        key_of(pool),
    )
    verdicts: dict[str, int] = {}
    ignored: dict[str, int] = {}
    for row in found:
        verdicts[row["verdict"]] = verdicts.get(row["verdict"], 0) + row["n"]
        if row["ignored_by"] is not None:
            ignored[row["ignored_by"]] = ignored.get(row["ignored_by"], 0) + row["n"]
    common = dict(sorted(verdicts.items(), key=lambda pair: (-pair[1], pair[0])))
    return VerdictCounts(
        common, sum(row["scored"] for row in found), by_rule(ignored) if Verdict.IGNORED in verdicts else {}
    )


@requires(Right.SEE, Right.READ, task=lambda given: given["pool"].task)
def facets(store: Store, pool: Pool) -> Facets:
    """Return the flags and errors of a pool with their counts, and the languages of its task."""
    flags = store.rows(
        f"""SELECT value, count(*) AS n
            FROM (SELECT unnest(x.flags) AS value FROM {compared(store, pool)} x) WHERE value IS NOT NULL
            GROUP BY value ORDER BY value <> ?, n DESC, value LIMIT {FACET_LIMIT}""",  # noqa: S608
        # An evaluator of one's own may flag so much that its failures would not be among them.
        [*key_of(pool), EVALUATOR_ERROR],
    )
    errors = store.rows(
        """SELECT o.error_kind AS value, count(*) AS n FROM observations o JOIN replays r USING (replay_id)
           WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.repeat = 0 AND o.error_kind IS NOT NULL
           GROUP BY value ORDER BY n DESC, value""",
        [pool.task, pool.candidate_fingerprint],
    )
    return Facets(
        _languages(store, pool),
        {row["value"]: row["n"] for row in flags},
        {row["value"]: row["n"] for row in errors},
    )


@requires(Right.SEE, Right.READ, Right.LABEL, task=lambda given: given["pool"].task)
def languages(store: Store, pool: Pool) -> list[str]:
    """Return the languages of a task's calls, the commonest first, and nothing of how they compare."""
    return [each for each in _languages(store, pool) if each]


def _languages(store: Store, pool: Pool) -> dict[str, int]:
    found = store.rows(
        f"""SELECT coalesce(language, '') AS value, count(*) AS n FROM calls WHERE task = ?
            GROUP BY value ORDER BY n DESC, value LIMIT {FACET_LIMIT}""",  # noqa: S608 - fixed text
        [pool.task],
    )
    return {row["value"]: row["n"] for row in found}
