"""What a person reads of a running replay, besides the counts."""

from __future__ import annotations

from workbench.records import told_errors
from workbench.replay.heartbeat import Heartbeat


def note_line(beat: Heartbeat, held: int = 0, limit: str = "") -> str:
    """Return the rest of the progress line: tokens a second, in flight, errors, retries, money, warnings.

    Args:
        beat: Where the run stands.
        held: Calls that failed in a row and are not recorded yet.
        limit: What the server's rate limit makes calls wait for.
    """
    words = []
    if beat.tokens_per_s >= 0.5:
        words.append(f"{beat.tokens_per_s:,.0f} tokens/s")
    if beat.in_flight:
        words.append(f"{beat.in_flight:,} in flight of {beat.limit:,}")
    if beat.errors:
        words.append(f"{sum(beat.errors.values()):,} errors ({told_errors(beat.errors)})")
    if beat.retried:
        words.append(f"{beat.retries:,} retries ({told_errors(beat.retried)})")
    if limit:
        words.append(limit)
    if beat.spent_usd is not None:
        words.append(f"{beat.spent_usd:.4f} USD")
    if held:
        words.append(f"{held:,} calls failed and are not recorded yet")
    if beat.note:
        words.append(beat.note)
    return ", ".join(words)
