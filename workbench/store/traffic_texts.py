"""The texts of traffic, read a part at a time, and samples of them: little is held however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workbench.records import UNASSIGNED, Request, from_json
from workbench.store import Store
from workbench.store.workloads import TRAFFIC, USABLE

SAMPLE_BYTES = 48_000_000
READ_CALLS, READ_CHARS = 4_000, 24_000_000
"""So much of the samples of several workloads is read at once: each reading passes through all calls."""
_ROOM = 4
"""Times as many requests are told apart as are wanted: how many there are is known within a quarter."""


def requests_without_task(store: Store, after: int, until: int) -> list[tuple[int, str, str | None, str]]:
    """Return (seq, request, model, attributes) of the calls that no task takes, between two seqs.

    Request and attributes are JSON: thousands of read ones at a time are what the collector of garbage would
    go through again and again. `after` itself is left out, `until` is not.
    """
    between = f"task = ? AND seq > ? AND seq <= ? AND {USABLE}"
    return store.each(
        lambda *row: row,
        f"SELECT seq, request, model, attributes FROM calls WHERE {between}",  # noqa: S608 -- constants, here and below
        (UNASSIGNED, after, until),
    )


def different_requests(store: Store, limit: int) -> list[Request]:
    """Return different requests of calls without a task, drawn by their hash: each counts once.

    They are `limit` at most; of long ones fewer, so that they fit into memory.
    """
    seqs = _first_by_hash(store, limit)
    found: list[Request] = []
    room = SAMPLE_BYTES
    for start in range(0, len(seqs), 200):
        texts = store.each(
            str,
            "SELECT request FROM calls WHERE seq IN (SELECT unnest(?)) ORDER BY request_hash",
            (seqs[start : start + 200],),
        )
        found += [from_json(each, Request) for each in texts]
        room -= sum(map(len, texts))
        if room <= 0:
            break
    return found


def _first_by_hash(store: Store, limit: int) -> list[int]:
    """Return the seqs of the first calls of different requests without a task, the smallest hashes first."""
    found = f"FROM calls WHERE task = $task AND {USABLE}"
    named = f"SELECT min(seq) {found} AND ($below IS NULL OR request_hash < $below)"
    first = f"{named} GROUP BY request_hash ORDER BY request_hash LIMIT $limit"
    values = {"task": UNASSIGNED, "limit": limit, "below": None}
    known = int(store.value(f"SELECT approx_count_distinct(request_hash) {found}", {"task": UNASSIGNED}))
    if known > _ROOM * limit:
        # Of millions, all but the smallest hashes need not be told apart.
        below = f"{16**8 * _ROOM * limit // known:08x}"
        seqs = store.each(int, first, values | {"below": below})
        if len(seqs) == limit:
            return seqs
    return store.each(int, first, values)


def sampled(store: Store, profile_id: str, size: int) -> dict[str, list[tuple[int, int]]]:
    """Return a random sample of each workload's calls, drawn by the hash that names a call.

    Returns:
        By workload the seq of each call and the characters that it asks with.
    """
    rows = store.rows(
        f"""
        WITH {TRAFFIC}
        SELECT workload, arg_min([seq, coalesce(input_chars, 0)], call_id, {int(size)}) AS calls
        FROM traffic GROUP BY workload
        """,  # noqa: S608
        {"profile": profile_id},
    )
    return {row["workload"]: [(seq, chars) for seq, chars in row["calls"]] for row in rows}


def read_samples(
    store: Store, samples: Sequence[Sequence[tuple[int, int]]]
) -> Iterator[list[dict[str, Any]]]:
    """Return the texts of samples, one at a time and a few of them read together.

    Args:
        store: Where to read.
        samples: As `sampled` returns them, in the order in which they are wanted.

    Returns:
        For each sample, rows of request and control (JSON), control_output_tokens and request_hash.
    """
    at = 0
    while at < len(samples):
        until, calls, chars = at, 0, 0
        while until < len(samples) and (until == at or (calls < READ_CALLS and chars < READ_CHARS)):
            calls += len(samples[until])
            chars += sum(each[1] for each in samples[until])
            until += 1
        together = [[seq for seq, _ in each] for each in samples[at:until]]
        rows = _texts(store, [seq for seqs in together for seq in seqs])
        for seqs in together:
            own = [rows.pop(seq) for seq in seqs if seq in rows]
            yield sorted(own, key=lambda row: str(row["call_id"]))
        at = until


def _texts(store: Store, seqs: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the rows of `read_samples` by seq: a join would hold the answers of all calls."""
    rows = store.rows(
        f"SELECT seq, call_id, request, request_hash FROM calls WHERE seq IN (SELECT unnest(?)) AND {USABLE}",  # noqa: S608
        (list(seqs),),
    )
    answers = store.rows(
        "SELECT call_id, output AS control, output_tokens AS control_output_tokens FROM controls "
        "WHERE call_id IN (SELECT unnest(?::VARCHAR[]))",
        ([row["call_id"] for row in rows],),
    )
    known = {row["call_id"]: row for row in answers}
    none = {"control": None, "control_output_tokens": None}
    return {row["seq"]: row | known.get(row["call_id"], none) for row in rows}
