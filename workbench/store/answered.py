"""What the answers of an import used, by the model that gave them, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.costing.pricing import ModelPrice, price_named

if TYPE_CHECKING:
    from workbench.store import Writer

MODELS_SHOWN = 100
_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens")
_READ = ["kind", "call_id", "model", "answered_by", "error_kind", *_COUNTS]


@dataclass(slots=True)
class Costs:
    """US dollars of the answers that have tokens and a price, and the others by model.

    `priced_as` names, by model, the entry of the price table that stood in for it.
    """

    usd: float | None = None
    unpriced: dict[str, int] = field(default_factory=dict)
    priced_as: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Used:
    """Answers of one model: how many, how many of them have token counts, and the sums of those."""

    answers: int = 0
    counted: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Answered:
    """Adds up, part by part, what answers used."""

    by_model: dict[str, Used] = field(default_factory=dict)
    _nameless: list[pa.Table] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Take in rows of a part that became outputs of calls.

        Args:
            rows: With `answered_by`, the model that the output itself names; failed ones without
                tokens cost nothing and are left out.
        """
        rows = rows.select(_READ)  # A filter copies what it keeps, the texts too.
        rows = rows.filter(pc.or_(pc.is_null(rows["error_kind"]), pc.is_valid(rows["input_tokens"])))
        # A call's own row says which model was asked; an output that came by itself does not.
        whole = pc.equal(rows["kind"], "call")
        named = pc.coalesce(
            rows["answered_by"], pc.if_else(whole, rows["model"], pa.scalar(None, pa.string()))
        )
        unknown = pc.and_(pc.is_null(named), pc.invert(whole))
        if pc.any(unknown).as_py():
            self._nameless.append(rows.filter(unknown).select(["call_id", *_COUNTS]))
            keep = pc.invert(unknown)
            rows, named = rows.filter(keep), named.filter(keep)
        self._sum(named, rows)

    def complete(self, writer: Writer) -> None:
        """Take the models of outputs that name none from their calls."""
        for rows in self._nameless:
            calls = rows["call_id"].to_pylist()
            found = writer.rows(
                "SELECT call_id, model FROM calls WHERE call_id IN (SELECT unnest(?))", [calls]
            )
            models = {each["call_id"]: each["model"] for each in found}
            self._sum(pa.array([models.get(each) for each in calls], pa.string()), rows)
        self._nameless.clear()

    def _sum(self, models: Any, rows: pa.Table) -> None:
        whole = pc.and_(pc.is_valid(rows["input_tokens"]), pc.is_valid(rows["output_tokens"]))
        columns: dict[str, Any] = {
            name: pc.if_else(whole, pc.fill_null(rows[name], 0), 0) for name in _COUNTS
        }
        columns |= {"model": pc.fill_null(models, "unknown"), "counted": pc.cast(whole, pa.int64())}
        sums = [(name, "sum") for name in ("counted", *_COUNTS)]
        for row in pa.table(columns).group_by("model").aggregate([*sums, ("counted", "count")]).to_pylist():
            used = self.by_model.setdefault(row["model"], Used())
            used.answers += row["counted_count"]
            used.counted += row["counted_sum"]
            used.input_tokens += row["input_tokens_sum"]
            used.cached_input_tokens += row["cached_input_tokens_sum"]
            used.output_tokens += row["output_tokens_sum"]

    def costs(self, prices: Sequence[ModelPrice]) -> Costs:
        """Return what the answers cost by a price table."""
        costs = Costs()
        table = {each[0]: each for each in prices}
        for model, used in sorted(self.by_model.items(), key=lambda pair: (-pair[1].answers, pair[0])):
            price = price_named(model, table)
            if price is None or not used.counted:
                costs.unpriced[model] = used.answers
                continue
            name, plain, cached, out = price
            spent = used.input_tokens * plain + used.cached_input_tokens * cached + used.output_tokens * out
            costs.usd = (costs.usd or 0.0) + spent / 1e6
            if name != model:
                costs.priced_as[model] = name
            if used.counted < used.answers:
                costs.unpriced[model] = used.answers - used.counted
        ordered = sorted(costs.unpriced.items(), key=lambda pair: (-pair[1], pair[0]))
        costs.unpriced = dict(ordered[:MODELS_SHOWN])
        return costs
