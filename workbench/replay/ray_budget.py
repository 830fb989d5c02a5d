"""What a run on many machines may cost: shared out among the pieces of its plan before it begins.

A piece's share is fixed, whoever answers it, and what its parts hold already is paid for
out of it. So no actor has to know what the others spend, and one that is lost overspends nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.records import Output
from workbench.replay.budget import Budget
from workbench.specs import Price
from workbench.store.spending import Spending

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class SharedBudget:
    """What the pieces of one run may cost together.

    Attributes:
        price: Of the candidate.
        usd: What is left for this run; None for no limit.
        calls: Calls and repeats in its plan.
        characters: Of their requests.
        output_tokens: Expected in one answer, until answers have told.
        requests_per_call: A call with k samples sends 1 + k.
        earlier: What earlier runs of the replay have read and written.
    """

    price: Price
    usd: float | None
    calls: int
    characters: int
    output_tokens: float
    requests_per_call: int
    earlier: Spending


class PieceBudgets:
    """The budgets of the pieces that one actor answers, one after another.

    What the answers to one piece cost is the estimate for the next.

    Args:
        shared: What all pieces may cost together.
    """

    def __init__(self, shared: SharedBudget) -> None:
        self._budget = Budget(
            shared.price,
            requests_per_call=shared.requests_per_call,
            output_tokens=shared.output_tokens,
        )
        self._budget.begin_with(shared.earlier)
        self._usd = shared.usd
        # All actors must share out alike, whatever their own answers have taught them since.
        self._per_call = self._budget.estimate_usd(0)
        self._per_character = self._budget.estimate_usd(1) - self._per_call
        self._whole = self._expected_usd(shared.calls, shared.characters)
        self._calls = shared.calls

    def _expected_usd(self, calls: int, characters: int) -> float:
        return calls * self._per_call + characters * self._per_character

    def open(
        self, rows: Collection[Mapping[str, Any]], known: Iterable[tuple[Mapping[str, Any], Output]]
    ) -> Budget:
        """Return the budget of a piece.

        Args:
            rows: All of the piece, answered or not, with the text of each `request`.
            known: Those with an answer already, and that answer.
        """
        budget = self._budget
        # What was in flight when the piece before was cut short will not be settled any more.
        budget.taken, budget.reserved_usd, budget.extra_usd = 0, 0.0, 0.0
        expected = self._expected_usd(len(rows), sum(len(row["request"]) for row in rows))
        share = expected / self._whole if self._whole else len(rows) / max(self._calls, 1)
        if self._usd is not None:
            budget.usd = budget.spent_usd + share * self._usd * (1 + _ROUNDING)
        for row, output in known:
            characters = len(row["request"])
            budget.book(budget.estimate_usd(characters), characters, output)
        return budget
