"""What candidates said of how sure they were, beside what each call took on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.store.call_costs import at_batch_price, logged_cost

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store

SIGNALS = ("label_margin", "token_quantile", "sample_agreement")
"""Signals of confidence, the most telling first."""


def answered(store: Store, task: str, fingerprint: str) -> pd.DataFrame:
    """Return one row for each answer of a candidate (repeat 0).

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.

    Returns:
        Columns replay_id, call_id, one for each signal (0..1, NaN where there is none), input_tokens,
        output_tokens, and of the recorded answer control_model, control_input_tokens,
        control_cached_input_tokens, control_output_tokens, control_latency_ms (NaN for an error),
        control_batched (billed as one of a batch) and control_logged_usd (what the log says it cost).
    """
    paths = [f"$.confidence.{signal}" for signal in SIGNALS]
    signals = ", ".join(
        f"CASE WHEN TRY_CAST(signals[{place}] AS DOUBLE) BETWEEN 0 AND 1 "
        f"THEN TRY_CAST(signals[{place}] AS DOUBLE) END AS {signal}"
        for place, signal in enumerate(SIGNALS, start=1)
    )
    return store.frame(
        f"""
        SELECT replay_id, call_id, {signals}, input_tokens, output_tokens, control_model,
               control_input_tokens, control_cached_input_tokens, control_output_tokens, control_latency_ms,
               control_batched, control_logged_usd
        FROM (
            SELECT o.replay_id, o.call_id, json_extract_string(o.output, ?::VARCHAR[]) AS signals,
                   o.input_tokens, o.output_tokens,
                   coalesce(json_extract_string(k.output, '$.model'), c.model) AS control_model,
                   k.input_tokens AS control_input_tokens,
                   k.cached_input_tokens AS control_cached_input_tokens,
                   k.output_tokens AS control_output_tokens,
                   coalesce({at_batch_price("k.marks")}, FALSE) AS control_batched,
                   {logged_cost("k.output")} AS control_logged_usd,
                   CASE WHEN k.error_kind IS NULL THEN k.latency_ms END AS control_latency_ms
            FROM observations o
            JOIN replays r ON r.replay_id = o.replay_id
            JOIN calls c ON c.call_id = o.call_id
            LEFT JOIN frontier_outputs k ON k.call_id = o.call_id
            WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.repeat = 0
        )
        """,  # noqa: S608 - constants of this module
        (paths, task, fingerprint),
    )
