"""What an import added, in sums: marks, models, languages, tasks, tokens, costs and the time it spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from workbench.costing.pricing import ModelPrice
from workbench.store.answered import Answered

if TYPE_CHECKING:
    from workbench.store import Writer
    from workbench.store.imports import Loaded

_UNANSWERED = """
SELECT 'no_output', count(*) FROM calls c WHERE manifest_id = $m
    AND NOT EXISTS (SELECT 1 FROM controls k WHERE k.call_id = c.call_id)
"""
# Where every answer came with its call, none has to be looked up, which takes most of the time.
_FEWER_ANSWERS = """
SELECT 'no_output', (SELECT count(*) FROM calls WHERE manifest_id = $m)
    - (SELECT count(*) FROM controls WHERE manifest_id = $m)
"""


def summed_up(
    writer: Writer,
    manifest_id: str,
    loaded: Loaded,
    answered: Answered,
    prices: Sequence[ModelPrice],
    *,
    joined: bool,
) -> None:
    """Put into `loaded` the costs of the answers, and the sums over what was accepted.

    Args:
        writer: The open transaction.
        manifest_id: The import.
        loaded: What became of its rows.
        answered: What its answers used.
        prices: By which their cost is reckoned.
        joined: Whether it brought answers of calls that came before them.
    """
    answered.complete(writer)
    loaded.costs = answered.costs(prices)
    summarise(writer, manifest_id, loaded, joined=joined)


def summarise(writer: Writer, manifest_id: str, loaded: Loaded, *, joined: bool) -> None:
    """Sum up what an import added, as `summed_up` does: new calls, and new outputs of older calls."""
    mine = (manifest_id,)
    unanswered = _UNANSWERED if joined else _FEWER_ANSWERS
    marks = f"""
        SELECT mark AS name, sum(n)::BIGINT AS n FROM (
            SELECT unnest(marks) AS mark, 1 AS n FROM calls WHERE manifest_id = $m
            UNION ALL SELECT unnest(marks), 1 FROM controls WHERE manifest_id = $m
            -- What a call and its answer both carry is one call's mark.
            UNION ALL SELECT unnest(list_intersect(c.marks, k.marks)), -1
                FROM calls c JOIN controls k USING (call_id)
                WHERE c.manifest_id = $m AND k.manifest_id = $m AND len(c.marks) > 0 AND len(k.marks) > 0
            UNION ALL {unanswered}
            UNION ALL SELECT 'no_time', 1 FROM calls WHERE manifest_id = $m AND occurred_at IS NULL
        ) GROUP BY ALL HAVING sum(n) > 0 ORDER BY n DESC, name
    """  # noqa: S608 -- one of two constants
    loaded.marks = dict(pairs(writer, marks, {"m": manifest_id}))
    for name in ("model", "language", "task"):
        sql = (
            f"SELECT coalesce({name}, 'unknown') AS name, count(*) AS n FROM calls WHERE manifest_id = ?"  # noqa: S608 -- names of this tuple
            " GROUP BY ALL ORDER BY n DESC, name LIMIT 100"
        )
        setattr(loaded, f"{name}s", dict(pairs(writer, sql, mine)))
    served = """
        SELECT served_by AS name, count(*) AS n FROM calls
        WHERE manifest_id = ? AND served_by IS NOT NULL GROUP BY ALL ORDER BY n DESC, name
    """
    loaded.served = dict(pairs(writer, served, mine))
    span = writer.rows(
        "SELECT min(occurred_at) AS first_at, max(occurred_at) AS last_at FROM calls WHERE manifest_id = ?",
        mine,
    )[0]
    loaded.first_at, loaded.last_at = span["first_at"], span["last_at"]
    sums = writer.rows(
        "SELECT sum(input_tokens)::BIGINT AS input, sum(cached_input_tokens)::BIGINT AS cached_input,"
        " sum(output_tokens)::BIGINT AS output FROM controls WHERE manifest_id = ?",
        mine,
    )[0]
    loaded.tokens = {key: (value or 0) + (loaded.added_tokens.get(key) or 0) for key, value in sums.items()}
    loaded.open_conflicts = writer.value("SELECT count(DISTINCT call_id) FROM conflicts")


def pairs(reader: Any, sql: str, params: Any = ()) -> Iterator[tuple[str, int]]:
    """Give the rows of a query with the columns name and n."""
    for row in reader.rows(sql, params):
        yield row["name"], int(row["n"])
