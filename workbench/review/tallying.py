"""What became of every record of a file of labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.records import Rejected

if TYPE_CHECKING:
    from workbench.ingest.treated import Treatment

MAX_REJECTED_KEPT = 100
REJECTED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What an import of labels did: records = accepted + rejected + skipped + conflicts + blank.

    `kind` is verdicts or gold. `skipped` were known already; `conflicts` hold another
    verdict of the same person on the same pair than the store, which is kept.
    `labels_from_gold` counts the labels that gold answers gave at once; pairs not
    compared yet get theirs with the next comparison. `reasons` counts the rejected
    and conflicting records by reason, `rejections` holds the first of them. `redacted` counts
    by kind what was replaced in texts about calls that were imported redacted.
    """

    file: str
    kind: str
    records: int
    accepted: int
    rejected: int
    skipped: int
    conflicts: int
    blank: int
    labels_from_gold: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    rejections: tuple[Rejected, ...] = ()
    redacted: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the report as a few lines for people."""
        what = "gold answers" if self.kind == "gold" else "labels"
        lines = [
            f"{self.file}: {self.records:,} records, {self.accepted:,} new {what}, {self.skipped:,} known, "
            f"{self.rejected:,} rejected, {self.conflicts:,} in conflict, {self.blank:,} blank."
        ]
        if self.labels_from_gold:
            lines.append(f"The gold answers gave {self.labels_from_gold:,} labels.")
        if self.redacted:
            counts = ", ".join(f"{count:,} {kind}" for kind, count in self.redacted.items())
            lines.append(f"Replaced in notes and answers: {counts}.")
        lines += [f"  {count:,} x {reason}" for reason, count in self.reasons.items()]
        shown = self.rejections[:REJECTED_SHOWN]
        lines += [f"    {each.file}:{each.line}: {each.reason}" for each in shown]
        more = self.rejected + self.conflicts - len(shown)
        lines += [f"    and {more:,} more"] if more > 0 else []
        return "\n".join(lines)


class Tally:
    """Counts what became of every record.

    Args:
        treatment: What redacts texts about redacted calls; rejected records are then kept without a text.
    """

    def __init__(self, treatment: Treatment | None = None) -> None:
        self._treatment = treatment
        self.records = self.accepted = self.skipped = self.conflicts = self.blank = 0
        self.reasons: Counter[str] = Counter()
        self.rejections: list[Rejected] = []

    def reject(self, rejected: Rejected) -> None:
        """Count a record that was not taken."""
        rejected = rejected if self._treatment is None else self._treatment.rejected(rejected)
        self.reasons[rejected.reason] += 1
        if len(self.rejections) < MAX_REJECTED_KEPT:
            self.rejections.append(rejected)

    def report(self, file: str, kind: str, labels_from_gold: int = 0) -> LabelReport:
        """Return what was counted."""
        rejected = self.records - self.accepted - self.skipped - self.conflicts - self.blank
        return LabelReport(
            file=file,
            kind=kind,
            records=self.records,
            accepted=self.accepted,
            rejected=rejected,
            skipped=self.skipped,
            conflicts=self.conflicts,
            blank=self.blank,
            labels_from_gold=labels_from_gold,
            reasons=dict(self.reasons.most_common(20)),
            rejections=tuple(self.rejections),
            redacted={} if self._treatment is None else dict(self._treatment.found.most_common()),
        )
