"""What counted for each pair at each moment: verdicts as they came, were changed and were taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbench.review.states import EffectiveVerdict, Pair, in_utc, settle
from workbench.store import labels as rows


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """What counts for a pair from one label row on; `effective` is None where nothing does any more."""

    seq: int
    at: datetime | None
    pair: Pair
    effective: EffectiveVerdict | None


def verdict_changes(store: rows.Reads, task: str, fingerprint: str) -> list[VerdictChange]:
    """Return every change of what counts for a candidate's pairs, in the order in which it happened.

    A label that was superseded later counts until then. The last change of a pair is what stands now.

    Args:
        store: Where the labels are.
        task: The task.
        fingerprint: The candidate's.
    """
    return changes_of(rows.label_rows(store, task, fingerprint))


def changes_of(labels: Iterable[Mapping[str, Any]]) -> list[VerdictChange]:
    """Return the same from label rows in order."""
    standing: dict[Pair, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    counted: dict[Pair, EffectiveVerdict | None] = {}
    found = []
    for row in labels:
        pair = (row["replay_id"], row["call_id"])
        mine = standing[pair]
        mine.pop(row["supersedes"], None)
        if row["verdict"]:
            mine[row["label_id"]] = row
        effective = settle(mine.values()).get(pair)
        if _said(effective) == _said(counted.get(pair)):
            continue
        counted[pair] = effective
        at = in_utc(row["created_at"]) if row["created_at"] else None
        found.append(VerdictChange(row["seq"], at, pair, effective))
    return found


def _said(effective: EffectiveVerdict | None) -> tuple[Any, ...] | None:
    if effective is None:
        return None
    return effective.verdict, effective.counted, effective.adjudicated, effective.elsewhere
