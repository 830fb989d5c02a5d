"""The compared calls of a candidate as columns: what evidence is weighed from, a million of them in a second.

Rows of the store hold text; here a column of text is a number a row and each distinct text once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.records import Verdict
from workbench.store.conflicting import not_in_conflict
from workbench.store.remembered import located, remembered

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store

VERDICTS = tuple(each.value for each in Verdict)
NO_SESSION = 0
CODED = ("control_group", "candidate_group")
WANTED = ("call_id", "parts", "flags")
"""Columns that are read where they are asked for."""

_WITHIN = """
    WHERE r.task = $task AND r.candidate_fingerprint = $fingerprint
      AND m.evaluator_version = $version AND m.repeat = 0"""
_DISTINCT = """
    FROM comparisons m
    JOIN replays r ON r.replay_id = m.replay_id"""
_PLACED = f"""{_DISTINCT}
    JOIN calls c ON c.seq = m.call_seq"""
_PARTS = """coalesce(m.parts, CASE WHEN json_type(m.details, '$.fields') = 'ARRAY' THEN CAST(to_json(
                   list_transform(json_extract(m.details, '$.fields[*]'), lambda f: json_array(
                       json_extract(f, '$.path'), json_extract(f, '$.equal'),
                       coalesce(CAST(json_extract(f, '$.there') AS BOOLEAN),
                           coalesce(CAST(json_extract(f, '$.control') AS VARCHAR), '') <> '{"missing":true}'),
                       coalesce(CAST(json_extract(f, '$.critical') AS BOOLEAN), false)))) AS VARCHAR)
               ELSE '[]' END)"""
_LOOKED_UP = f"""
    FROM (
        SELECT m.* EXCLUDE (call_seq, observation_seq, batch, audit_order, parts), {_PARTS} AS parts,
               k.seq AS call_seq, b.seq AS observation_seq, p.batch,
               row_number() OVER (ORDER BY p.audit_key, p.call_id) AS audit_order
        FROM comparisons m
        JOIN replay_calls p ON p.replay_id = m.replay_id AND p.call_id = m.call_id
        JOIN calls k ON k.call_id = m.call_id
        LEFT JOIN observations b ON b.replay_id = m.replay_id AND b.call_id = m.call_id AND b.repeat = 0
        WHERE m.repeat = 0
    ) m
    JOIN replays r ON r.replay_id = m.replay_id
    JOIN calls c ON c.seq = m.call_seq"""  # noqa: S608 - constants of this module
"""For comparisons written without their places."""


def evidence_frame(
    store: Store,
    task: str,
    fingerprint: str,
    version: str,
    *,
    wanted: Collection[str] = (),
    begun: bool = False,
) -> pd.DataFrame:
    """Return one row a call of closed batches, in the order in which disagreements are labelled.

    A batch is closed once every planned call that is not in conflict is compared.
    Batches stand in the order in which their last answer came in, so that one that
    closes late never changes the order of those before it. A call counts once, in the
    first batch that closed.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
        version: The evaluator version.
        wanted: Which of `WANTED` are needed; they are large.
        begun: Return the compared calls of batches that are not closed, instead. They are no
            random part of their batch.

    Returns:
        Columns replay_id, batch_order (0, 1, ...), verdict, score, identical, invalid, control_group,
        candidate_group, session (equal within one, `NO_SESSION` without), request (equal for equal
        requests), occurred_at, audit_order, call_seq, last_seq (of the batch's last answer), and those
        wanted: flags and parts as JSON.
    """
    asked = tuple(name for name in WANTED if name in wanted)
    question = ("evidence_frame", task, fingerprint, version, asked, begun)
    found = remembered(
        store,
        question,
        lambda: _frame(store, task, fingerprint, version, asked, begun),
        lambda frame: int(frame.memory_usage(index=False).sum()),
    )
    # Copies share their columns until one of them is changed.
    return found.copy(deep=False)


def comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of an `evidence_frame` whose answers could be compared."""
    kept = (frame["verdict"] != Verdict.UNCOMPARABLE.value).to_numpy(dtype=np.bool_)
    return frame if kept.all() else frame[kept].reset_index(drop=True)


def digest(frame: pd.DataFrame) -> str:
    """Return a hash of what was compared: it changes with any call, verdict or group of an `evidence_frame`.

    Args:
        frame: With `parts` where the evidence is of fields.
    """
    import pandas as pd

    found = hashlib.sha256()
    for name in ("audit_order", "batch_order", "verdict", "identical", "invalid", *CODED, "parts"):
        if name not in frame:
            continue
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            found.update(json.dumps(column.cat.categories.tolist()).encode("utf-8", "surrogatepass"))
            column = column.cat.codes.astype("int32")
        found.update(name.encode() + np.ascontiguousarray(column.to_numpy()).tobytes())
    return found.hexdigest()


def call_ids(store: Store, seqs: Iterable[int]) -> dict[int, str]:
    """Return the ids of some calls, by their numbers in the store."""
    found = store.rows(
        "SELECT seq, call_id FROM calls WHERE seq IN (SELECT unnest(?::BIGINT[]))", (list(seqs),)
    )
    return {row["seq"]: row["call_id"] for row in found}


def places(store: Store, frame: pd.DataFrame, calls: Iterable[str]) -> dict[str, int]:
    """Return where calls stand among the rows of an `evidence_frame`, by id; those it lacks are left out."""
    found = store.each(
        lambda call_id, seq: (call_id, seq),
        "SELECT call_id, seq FROM calls WHERE call_id IN (SELECT unnest(?::VARCHAR[]))",
        (list(set(calls)),),
    )
    held = frame["call_seq"]
    where = np.flatnonzero(held.isin([seq for _, seq in found]).to_numpy(dtype=np.bool_))
    # Of a call that stands twice the first counts, so it must come last here.
    place_of = dict(zip(held.to_numpy()[where[::-1]].tolist(), where[::-1].tolist(), strict=True))
    return {call_id: place_of[seq] for call_id, seq in found if seq in place_of}


def answer_times(store: Store, seqs: Sequence[int]) -> dict[int, datetime]:
    """Return when some answers were asked for, by their `seq`; those of unknown time are left out."""
    found = store.rows(
        "SELECT seq, started_at FROM observations WHERE started_at IS NOT NULL AND list_contains(?, seq)",
        (list(seqs),),
    )
    return {row["seq"]: row["started_at"].replace(tzinfo=UTC) for row in found}


def session_calls(store: Store, task: str, outside: Iterable[int]) -> pd.Series[Any]:
    """Return how many usable calls with a control each session of a task has, by `session` of a frame.

    Args:
        store: Where to read.
        task: The task.
        outside: Numbers of calls that are left out.
    """
    frame = store.frame(
        f"""
        SELECT hash(session_id) AS session, count(*) AS n FROM calls c
        WHERE task = ? AND session_id IS NOT NULL AND {not_in_conflict(store, "c")}
          AND call_id IN (SELECT call_id FROM frontier_outputs)
          AND seq NOT IN (SELECT unnest(?::BIGINT[]))
        GROUP BY session_id
        """,  # noqa: S608 - fixed text
        (task, list(outside)),
    )
    found = frame["n"]
    found.index = _signed(frame["session"].to_numpy())
    return found


def _frame(
    store: Store, task: str, fingerprint: str, version: str, wanted: Sequence[str], begun: bool
) -> pd.DataFrame:
    import pandas as pd

    params = {"task": task, "fingerprint": fingerprint, "version": version}
    names = ", ".join(f"'{each}'" for each in VERDICTS)
    verdict = f"list_position([{names}], m.verdict) - 1"
    texts = {name: f"m.{name}" for name in (*CODED, "parts") if name in CODED or name in wanted}
    if "flags" in wanted:
        texts["flags"] = "CAST(to_json(m.flags) AS VARCHAR)"
    columns = ", ".join(f"hash({each}) AS {name}" for name, each in texts.items())
    if "call_id" in wanted:
        columns += ", m.call_id"
    placed = _all_placed(store, params)
    source = _PLACED if placed else _LOOKED_UP
    rows = store.columns(
        f"""
        SELECT r.seq AS replay, m.batch, m.observation_seq AS answered, m.call_seq, m.audit_order,
               CAST({verdict} AS TINYINT) AS verdict, m.score, m.identical, m.invalid,
               CASE WHEN c.session_id IS NULL THEN {NO_SESSION} ELSE hash(c.session_id) END AS session,
               hash(c.request_hash) AS request, c.occurred_at, {columns}
        {source} {_WITHIN} AND {not_in_conflict(store, "m")}
        """,
        params,
    )
    order, batch_order, last_seq = _audited(store, params, rows, begun)
    codes = rows["verdict"][order]
    found = {
        "replay_id": _replays(store, rows["replay"][order]),
        "batch_order": batch_order,
        "verdict": _categorical(codes, VERDICTS),
        "score": np.ma.filled(rows["score"], np.nan)[order],
        "identical": rows["identical"][order],
        "invalid": rows["invalid"][order],
        "session": _signed(rows["session"])[order],
        "request": _signed(rows["request"])[order],
        "occurred_at": np.ma.filled(rows["occurred_at"], np.datetime64("NaT"))[order],
        "audit_order": rows["audit_order"][order],
        "call_seq": rows["call_seq"][order],
        "last_seq": last_seq,
    }
    names_in = _DISTINCT if placed else _LOOKED_UP
    found |= {name: _coded(store, params, names_in, each, rows[name], order) for name, each in texts.items()}
    if "call_id" in wanted:
        found["call_id"] = rows["call_id"][order]
    return pd.DataFrame(found, copy=False)


def _all_placed(store: Store, params: dict[str, str]) -> bool:
    """Say whether every comparison of a scope knows its places."""
    needed = ("call_seq", "observation_seq", "batch", "audit_order", "parts")
    # Asked one by one, a column without a gap is passed over by what the file knows of it, and not read.
    gaps = " OR ".join(f"EXISTS (SELECT 1 {_DISTINCT} {_WITHIN} AND m.{name} IS NULL)" for name in needed)
    return not store.value(f"SELECT {gaps}", params)


def _audited(
    store: Store, params: dict[str, str], rows: Mapping[str, NDArray[Any]], begun: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return which rows count, in audit order, with their batch's place and its last answer's number."""
    import pandas as pd

    planned = store.rows(
        f"""
        SELECT r.replay_id, r.seq AS replay, p.batch, p.planned
        FROM replays r JOIN (
            SELECT replay_id, batch, count(*) AS planned FROM replay_calls q
            WHERE replay_id IN (
                SELECT replay_id FROM replays WHERE task = $task AND candidate_fingerprint = $fingerprint)
              AND {not_in_conflict(store, "q")}
            GROUP BY replay_id, batch
        ) p ON p.replay_id = r.replay_id
        """,  # noqa: S608 - constants of this module
        {name: params[name] for name in ("task", "fingerprint")},
    )
    replay, batch = rows["replay"], rows["batch"].astype(np.int64)
    answered = np.ma.filled(rows["answered"], -1)
    key = replay * (int(batch.max(initial=0)) + 1) + batch
    number, distinct = pd.factorize(key)
    counts = np.bincount(number, minlength=distinct.size)
    last = pd.Series(answered).groupby(number).max().to_numpy(dtype=np.int64)
    at = {each: place for place, each in enumerate(distinct.tolist())}
    width = int(batch.max(initial=0)) + 1
    chosen: list[tuple[int, str, int, int]] = []
    for row in planned:
        place = at.get(row["replay"] * width + row["batch"]) if row["batch"] < width else None
        if place is not None and (int(counts[place]) < row["planned"]) is begun:
            chosen.append((int(last[place]), row["replay_id"], row["batch"], place))
    order_of = np.full(distinct.size, -1, dtype=np.int64)
    for position, (_, _, _, place) in enumerate(sorted(chosen)):
        order_of[place] = position
    batch_order = order_of[number]
    kept = np.flatnonzero(batch_order >= 0)
    if np.unique(replay[kept]).size > 1:
        # A sample holds a call once: only where there are several must the first be found.
        calls = rows["call_seq"][kept]
        first = np.lexsort((batch_order[kept], calls))
        ordered = calls[first]
        kept = kept[first[np.concatenate(([True], ordered[1:] != ordered[:-1]))]]
    audit, calls = rows["audit_order"][kept], rows["call_seq"][kept]
    ordered_rows = kept[_in_order(batch_order[kept], audit, calls)]
    return ordered_rows, batch_order[ordered_rows], last[number[ordered_rows]]


def _in_order(
    batches: NDArray[np.int64], audit: NDArray[np.int64], calls: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the places that sort by batch, audit key and call, as one sort where no two keys are equal."""
    if not batches.size or batches.min() < batches.max():
        return np.lexsort((calls, audit, batches))
    order = np.argsort(audit)
    ordered = audit[order]
    return np.lexsort((calls, audit)) if (ordered[1:] == ordered[:-1]).any() else order


def _replays(store: Store, numbers: NDArray[np.int64]) -> pd.Categorical[Any]:
    import pandas as pd

    codes, distinct = pd.factorize(numbers, sort=True)
    ids = store.rows(
        "SELECT seq, replay_id FROM replays WHERE seq IN (SELECT unnest(?::BIGINT[]))", (distinct.tolist(),)
    )
    name_of = {row["seq"]: row["replay_id"] for row in ids}
    return _categorical(codes, [name_of[each] for each in distinct.tolist()])


def _coded(
    store: Store,
    params: dict[str, str],
    source: str,
    expression: str,
    hashes: NDArray[Any],
    order: NDArray[np.int64],
) -> pd.Categorical[Any]:
    """Return a column of text from the hash of each row's, each distinct text read once."""
    read = store.rows(
        f"""
        SELECT DISTINCT hash({expression}) AS code, {expression} AS name {source} {_WITHIN}
        """,
        params,
    )
    # Two texts of one 64-bit hash among a million are as likely as 1 in 30 million.
    read.sort(key=lambda row: (row["name"] is None, row["name"]))
    names = [row["name"] for row in read if row["name"] is not None]
    codes = np.asarray([*range(len(names)), *[-1] * (len(read) - len(names))], dtype=np.int64)
    known = np.asarray([row["code"] for row in read], dtype=np.uint64)
    found = codes[located(known, hashes[order])]
    # Names of calls that don't count are left out.
    occurs = np.bincount(found + 1, minlength=len(names) + 1)[1:] > 0
    place = np.append(np.cumsum(occurs) - 1, -1)
    kept = [name for name, is_kept in zip(names, occurs.tolist(), strict=True) if is_kept]
    return _categorical(place[found], kept)


def _categorical(codes: NDArray[Any], names: Sequence[str]) -> pd.Categorical[Any]:
    import pandas as pd

    dtype: pd.CategoricalDtype[Any] = pd.CategoricalDtype(pd.Index(names, dtype=object))
    return pd.Categorical.from_codes(codes, dtype=dtype)


def _signed(hashes: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(hashes, dtype=np.uint64).view(np.int64)
