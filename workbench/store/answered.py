"""What the answers of an import used, by the model that gave them, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.costing.pricing import ModelPrice, price_named
from workbench.records import BATCH_PRICE

if TYPE_CHECKING:
    from workbench.store import Writer

MODELS_SHOWN = 100
_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens")
_SUMMED = ("batched", "logged_usd", *_COUNTS)
_READ = ["kind", "call_id", "model", "answered_by", "error_kind", "logged_usd", "control_marks", *_COUNTS]


@dataclass(slots=True)
class Costs:
    """US dollars of the answers that have tokens and a price, or a cost in the log; the others by model.

    `priced_as` names, by model, the entry of the price table that stood in for it, and `as_logged` counts
    answers that cost what the log says. `logged_usd` is what it says of `logged` answers, with a price or
    without; `batched` answers were billed as those of a batch.
    """

    usd: float | None = None
    unpriced: dict[str, int] = field(default_factory=dict)
    priced_as: dict[str, str] = field(default_factory=dict)
    as_logged: dict[str, int] = field(default_factory=dict)
    logged_usd: float = 0.0
    logged: int = 0
    batched: int = 0


@dataclass(slots=True)
class Used:
    """Answers of one model at one price: how many, how many have token counts, and the sums of those.

    `logged_usd` is the cost that the log tells of `logged` answers; `told` of these have no token counts,
    and cost `told_usd`.
    """

    answers: int = 0
    counted: int = 0
    logged: int = 0
    logged_usd: float = 0.0
    told: int = 0
    told_usd: float = 0.0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Answered:
    """Adds up, part by part, what answers used."""

    by_model: dict[tuple[str, bool], Used] = field(default_factory=dict)
    """By model, and whether the answers were billed as those of a batch."""
    _nameless: list[pa.Table] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Take in rows of a part that became outputs of calls.

        Args:
            rows: With `answered_by`, the model that the output itself names; failed ones without
                tokens cost nothing and are left out.
        """
        rows = rows.select(_READ)  # A filter copies what it keeps, the texts too.
        paid = pc.or_(pc.is_valid(rows["input_tokens"]), pc.is_valid(rows["logged_usd"]))
        rows = rows.filter(pc.or_(pc.is_null(rows["error_kind"]), paid))
        rows = rows.append_column("batched", _batched(rows["control_marks"])).drop_columns("control_marks")
        # A call's own row says which model was asked; an output that came by itself does not.
        whole = pc.equal(rows["kind"], "call")
        named = pc.coalesce(
            rows["answered_by"], pc.if_else(whole, rows["model"], pa.scalar(None, pa.string()))
        )
        unknown = pc.and_(pc.is_null(named), pc.invert(whole))
        if pc.any(unknown).as_py():
            self._nameless.append(rows.filter(unknown).select(["call_id", *_SUMMED]))
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
        logged, usd = pc.is_valid(rows["logged_usd"]), pc.fill_null(rows["logged_usd"], 0.0)
        told = pc.and_(logged, pc.invert(whole))
        columns |= {
            "model": pc.fill_null(models, "unknown"),
            "batched": rows["batched"],
            "counted": pc.cast(whole, pa.int64()),
            "logged": pc.cast(logged, pa.int64()),
            "logged_usd": usd,
            "told": pc.cast(told, pa.int64()),
            "told_usd": pc.if_else(told, usd, 0.0),
        }
        names = ("counted", "logged", "logged_usd", "told", "told_usd", *_COUNTS)
        sums = [*((name, "sum") for name in names), ("counted", "count")]
        for row in pa.table(columns).group_by(["model", "batched"]).aggregate(sums).to_pylist():
            used = self.by_model.setdefault((row["model"], row["batched"]), Used())
            used.answers += row["counted_count"]
            for name in names:
                setattr(used, name, getattr(used, name) + row[f"{name}_sum"])

    def costs(self, prices: Sequence[ModelPrice]) -> Costs:
        """Return what the answers cost by a price table."""
        costs = Costs()
        table = {each[0]: each for each in prices}
        for (model, batched), used in sorted(
            self.by_model.items(), key=lambda pair: (-pair[1].answers, pair[0])
        ):
            costs.logged, costs.logged_usd = costs.logged + used.logged, costs.logged_usd + used.logged_usd
            price = price_named(model, table) if used.counted else None
            if price is None:
                told, usd = used.logged, used.logged_usd
            else:
                name, plain, cached, out, discount = price
                spent = used.input_tokens * plain + used.cached_input_tokens * cached
                spent += used.output_tokens * out
                told, usd = used.told, spent / 1e6 * (1 - discount * batched) + used.told_usd
                costs.batched += used.counted if batched and discount else 0
                if name != model:
                    costs.priced_as[model] = name
            if told:
                costs.as_logged[model] = costs.as_logged.get(model, 0) + told
            if price is not None or told:
                costs.usd = (costs.usd or 0.0) + usd
            if lacking := used.answers - told - (used.counted if price is not None else 0):
                costs.unpriced[model] = costs.unpriced.get(model, 0) + lacking
        ordered = sorted(costs.unpriced.items(), key=lambda pair: (-pair[1], pair[0]))
        costs.unpriced = dict(ordered[:MODELS_SHOWN])
        return costs


def _batched(marks: pa.ChunkedArray) -> pa.Array:
    """Tell of each answer whether it was billed as one of a batch, by its marks."""
    whole = marks.combine_chunks() if isinstance(marks, pa.ChunkedArray) else marks
    named = pc.equal(pc.list_flatten(whole), BATCH_PRICE)
    carrying = pc.filter(pc.list_parent_indices(whole), named)
    return pc.is_in(pa.array(range(len(whole)), pa.int64()), value_set=pc.cast(carrying, pa.int64()))
