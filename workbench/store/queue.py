"""What a replay has still to ask, page by page: a million calls must not lie in memory."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the order of sending: every call once before any is repeated."""

    repeat: int
    batch: int
    rank: int


def pending_page(
    store: Store, replay_id: str, repeats: int, after: Place | None, size: int
) -> tuple[list[tuple[str, int]], Place | None]:
    """Return the next calls without an observation, as (call, repeat) in the order of sending.

    Args:
        store: The store.
        replay_id: Whose calls.
        repeats: How often each is asked.
        after: Where the last page ended; None for the first.
        size: Calls on a page at most.

    Returns:
        The page, empty at the end, and the place where it ends.
    """
    start = after or Place(-1, -1, -1)
    rows = store.rows(
        "SELECT p.call_id, r.repeat, p.batch, p.rank FROM replay_calls p "
        "CROSS JOIN (SELECT unnest(range(?::BIGINT))::INTEGER AS repeat) r "
        "ANTI JOIN (SELECT call_id, repeat FROM observations WHERE replay_id = ?) o "
        "ON o.call_id = p.call_id AND o.repeat = r.repeat "
        "WHERE p.replay_id = ? AND (r.repeat, p.batch, p.rank) > (?, ?, ?) "
        "ORDER BY r.repeat, p.batch, p.rank LIMIT ?",
        (repeats, replay_id, replay_id, start.repeat, start.batch, start.rank, size),
    )
    page = [(row["call_id"], row["repeat"]) for row in rows]
    last = rows[-1] if rows else None
    return page, Place(last["repeat"], last["batch"], last["rank"]) if last else after
