"""What an import says of calls that an earlier one brought: outputs, tokens and models that come later.

What it changes is kept as it was before, so that it can be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from workbench.records import BATCH_REQUEST_ID
from workbench.store.engine import RowRefused
from workbench.store.identity import conflicts_twice, twice

if TYPE_CHECKING:
    from workbench.store import Writer

TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")

_TABLES = {
    "late": """
    CREATE OR REPLACE TEMP TABLE late (
        call_id VARCHAR, occurred_at TIMESTAMP, model VARCHAR, attributes VARCHAR
    )
    """,
    "additions": """
    CREATE OR REPLACE TEMP TABLE additions (
        call_id VARCHAR, answered_by VARCHAR, output VARCHAR, input_tokens BIGINT, cached_input_tokens BIGINT,
        output_tokens BIGINT, control_marks VARCHAR[]
    )
    """,
}


def begin(writer: Writer) -> None:
    """Make the temporary tables that the rows wait in."""
    for statement in _TABLES.values():
        writer.execute(statement)


def end(writer: Writer) -> None:
    """Drop them."""
    for name in _TABLES:
        writer.execute(f"DROP TABLE temp.{name}")


def put_outputs(writer: Writer, rows: pa.Table) -> None:
    """Take rows whose outputs joined calls."""
    stage_rows(writer, "late", rows.select(["call_id", "occurred_at", "model", "attributes"]))


def put_tokens(writer: Writer, rows: pa.Table) -> None:
    """Take rows that say tokens and model of outputs without tokens."""
    stage_rows(
        writer, "additions", rows.select(["call_id", "answered_by", "output", *TOKENS, "control_marks"])
    )


def stage_rows(writer: Writer, table: str, rows: pa.Table) -> None:
    """Fill a temporary table of this transaction, which the store's catalogue does not know."""
    with writer.lent("staged_rows", rows):
        writer.execute(f"INSERT INTO temp.{table} SELECT * FROM staged_rows")  # noqa: S608 -- a name of this module


def write_calls(writer: Writer, manifest_id: str) -> None:
    """Give calls the time, the model and the attributes that came with their outputs.

    Raises:
        RowRefused: A call or a conflict would be there twice, or a call have two outputs; no keys keep
            that away.
    """
    if count := twice(writer, manifest_id):
        raise RowRefused(f"{count} calls would be there twice.")
    if count := conflicts_twice(writer, manifest_id):
        raise RowRefused(f"{count} conflicting records would be there twice.")
    answered = writer.value(
        "SELECT count(*) FROM (SELECT call_id FROM controls WHERE call_id IN (SELECT call_id FROM late)"
        " GROUP BY call_id HAVING count(*) > 1)"
    )
    if answered:
        raise RowRefused(f"{answered} calls would have two recorded outputs.")
    writer.execute(
        """
        INSERT INTO late_facts (call_id, manifest_id, occurred_at, model)
        SELECT c.call_id, $m, c.occurred_at, c.model FROM calls c JOIN late l USING (call_id)
        WHERE c.manifest_id <> $m
        """,
        {"m": manifest_id},
    )
    writer.execute(
        "UPDATE calls SET occurred_at = coalesce(calls.occurred_at, late.occurred_at),"
        " model = coalesce(late.model, calls.model) FROM late WHERE calls.call_id = late.call_id"
    )
    writer.execute(
        "UPDATE calls SET attributes = json_merge_patch(late.attributes::JSON, calls.attributes::JSON)"
        " FROM late WHERE calls.call_id = late.call_id AND late.attributes IS NOT NULL"
    )


def write_tokens(writer: Writer, manifest_id: str) -> dict[str, int | None]:
    """Write tokens and model to outputs that had none, and return the sums of the tokens.

    Why an output ended, and when its first token came, are written where it does not say so itself.
    """
    writer.execute(
        """
        INSERT INTO late_facts (call_id, manifest_id, occurred_at, model, output)
        SELECT c.call_id, $m, c.occurred_at, c.model, k.output
        FROM calls c JOIN controls k USING (call_id) JOIN additions a USING (call_id)
        WHERE c.manifest_id <> $m
        """,
        {"m": manifest_id},
    )
    writer.execute(
        """
        UPDATE controls SET
            input_tokens = a.input_tokens, cached_input_tokens = a.cached_input_tokens,
            output_tokens = a.output_tokens,
            marks = list_concat(controls.marks, list_filter(
                coalesce(a.control_marks, []), lambda mark: NOT list_contains(controls.marks, mark))),
            output = json_merge_patch(
                controls.output::JSON,
                CASE WHEN a.answered_by IS NULL
                    THEN json_object('usage', json_extract(a.output, '$.usage'))
                    ELSE json_object('usage', json_extract(a.output, '$.usage'), 'model', a.answered_by) END,
                CASE WHEN json_extract_string(controls.output, '$.finish_reason') IS NULL
                        AND json_extract_string(a.output, '$.finish_reason') IS NOT NULL
                    THEN json_object('finish_reason', json_extract(a.output, '$.finish_reason'))
                    ELSE '{}'::JSON END,
                CASE WHEN json_extract_string(controls.output, '$.time_to_first_token_ms') IS NULL
                        AND json_extract_string(a.output, '$.time_to_first_token_ms') IS NOT NULL
                    THEN json_object(
                        'time_to_first_token_ms', json_extract(a.output, '$.time_to_first_token_ms'))
                    ELSE '{}'::JSON END)
        FROM additions a WHERE controls.call_id = a.call_id
        """
    )
    writer.execute(
        "UPDATE calls SET model = coalesce(a.answered_by, calls.model) FROM additions a"
        " WHERE calls.call_id = a.call_id"
    )
    return writer.rows(
        "SELECT sum(input_tokens)::BIGINT AS input, sum(cached_input_tokens)::BIGINT AS cached_input,"
        " sum(output_tokens)::BIGINT AS output FROM additions"
    )[0]


def unrendered(writer: Writer) -> dict[str, int]:
    """Return how many calls now have tokens and still no prompt, by the import that brought them.

    Their log holds the arguments of a template. Those whose prompt waits as a conflict are not counted.
    """
    rows = writer.rows(
        "SELECT c.manifest_id, count(*) AS n FROM calls c JOIN additions a USING (call_id)"
        " WHERE list_contains(c.marks, 'not_rendered')"
        " AND c.call_id NOT IN (SELECT call_id FROM conflicts) GROUP BY ALL ORDER BY 1"
    )
    return {row["manifest_id"]: row["n"] for row in rows}


def take_back(writer: Writer, manifest_id: str) -> int:
    """Give calls of other imports back what they were before an import said more of them.

    An output that came with the import itself goes with it, and the tokens that a still later one
    said of it are of no more account.

    Returns:
        How many outputs lost the tokens that the import had added.
    """
    mine = {"m": manifest_id}
    count: int = writer.value(
        "SELECT count(*) FROM late_facts WHERE manifest_id = $m AND output IS NOT NULL",
        mine,
    )
    writer.execute(
        """
        UPDATE controls SET output = f.output, input_tokens = NULL, cached_input_tokens = NULL,
            output_tokens = NULL,
            -- What such records say of an answer beside its tokens is whether it came from a cache.
            marks = list_filter(controls.marks, lambda mark: mark <> 'cache_hit')
        FROM late_facts f
        WHERE f.manifest_id = $m AND f.output IS NOT NULL AND controls.call_id = f.call_id
        """,
        mine,
    )
    writer.execute(
        """
        UPDATE calls SET occurred_at = f.occurred_at, model = f.model FROM (
            SELECT * FROM late_facts WHERE manifest_id = $m
            QUALIFY row_number() OVER (PARTITION BY call_id ORDER BY seq) = 1
        ) f WHERE calls.call_id = f.call_id
        """,
        mine,
    )
    writer.execute(
        """
        UPDATE calls SET attributes = json_merge_patch(attributes::JSON, json_object($key, NULL))
        WHERE json_exists(attributes::JSON, '$.' || $key) AND call_id IN
            (SELECT call_id FROM late_facts WHERE manifest_id = $m AND output IS NULL)
        """,
        mine | {"key": BATCH_REQUEST_ID},
    )
    writer.execute(
        "DELETE FROM late_facts WHERE manifest_id = $m OR call_id IN"
        " (SELECT call_id FROM controls WHERE manifest_id = $m"
        " UNION SELECT call_id FROM calls WHERE manifest_id = $m)",
        mine,
    )
    return count


def settle(writer: Writer, call_ids: Sequence[str]) -> None:
    """Forget how calls were before: a person decided on what they hold now."""
    writer.execute("DELETE FROM late_facts WHERE call_id IN (SELECT unnest(?::VARCHAR[]))", [list(call_ids)])
