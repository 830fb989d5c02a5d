"""What came into the log after a candidate was evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.store.calls import FRONTIER_MODEL
from workbench.store.marked import parameters, without

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store


UNIFORM = "(CAST('0x' || md5(c.call_id)[:13] AS BIGINT) / 4503599627370496.0)"
"""Of a call `c`: a number from 0 to under 1 by the first 52 bits of a hash of its id."""
_AT = "least(coalesce(c.occurred_at, m.created_at), m.created_at)"
"""When a call `c` was made: one without a time, or with one to come, when its import `m` was."""


def first_replay_at(store: Store, task: str, fingerprint: str) -> datetime | None:
    """Return when the first sample of a candidate that is compared was drawn, UTC without a zone, or None.

    One that was given up is no evaluation.
    """
    found: datetime | None = store.value(
        """
        SELECT min(r.created_at) FROM replays r WHERE r.task = ? AND r.candidate_fingerprint = ?
          AND EXISTS (SELECT 1 FROM comparisons m WHERE m.replay_id = r.replay_id)
        """,
        (task, fingerprint),
    )
    return found


def imported_after(
    store: Store,
    task: str,
    moment: datetime,
    exclude: Sequence[str] = (),
    *,
    begins: datetime | None = None,
) -> pd.DataFrame:
    """Return the task's usable calls that were imported after a moment, in the order in which they came.

    Args:
        store: Where to read.
        task: The task.
        moment: UTC without a zone.
        exclude: Calls with one of these marks are left out.
        begins: Calls made before it are left out; UTC without a zone.

    Returns:
        Columns seq, call_id and at, when the call was made, UTC: one without a time, or with one to come,
        when it was imported. The order is that of import, then of the calls' own times.
    """
    return store.frame(
        f"""
        SELECT c.seq, c.call_id, {_AT} AS at
        FROM usable_calls c JOIN manifests m USING (manifest_id)
        WHERE c.task = $task AND m.created_at > $moment {_from(begins)} {without(exclude)}
        ORDER BY m.seq, c.occurred_at NULLS LAST, c.call_id
        """,  # noqa: S608 - a fixed text
        _parameters(task, exclude, moment, begins),
    )


def _from(begins: datetime | None) -> str:
    return "" if begins is None else f"AND {_AT} >= $begins"


def _parameters(
    task: str, exclude: Sequence[str], moment: datetime, begins: datetime | None
) -> dict[str, Any]:
    own = {"moment": moment} if begins is None else {"moment": moment, "begins": begins}
    return parameters(task, exclude) | own


def some_calls(
    store: Store,
    task: str,
    moment: datetime,
    *,
    after: bool,
    limit: int,
    begins: datetime | None = None,
    exclude: Sequence[str] = (),
    requests: bool = False,
    one_a_session: bool = False,
    by_rate: bool = False,
) -> list[dict[str, Any]]:
    """Return a random part of the calls that came after a moment, or of the others, by a hash of their ids.

    Args:
        store: Where to read.
        task: The task.
        moment: UTC without a zone.
        after: Those imported after it; else all others.
        limit: Calls at most.
        begins: Calls made before it are left out; UTC without a zone.
        exclude: Calls with one of these marks are left out.
        requests: Whether requests are wanted; they are large.
        one_a_session: Only one call of each session, at random.
        by_rate: A call comes the sooner the more calls of the traffic it stands for: in the order of
            ln(1 - u) times its sampling rate, u uniform by the hash (Efraimidis and Spirakis, Information
            Processing Letters 97, 2006); an unknown rate is taken for 1.

    Returns:
        Rows of seq, call_id, session_id, sampling_rate, language, input_chars, turn_depth, tool_count, model,
        attributes and request.
    """
    wanted = "c.request" if requests else "NULL AS request"
    order = (
        f"-ln(1 - {UNIFORM}) * coalesce(c.sampling_rate, 1), md5(c.call_id)" if by_rate else "md5(c.call_id)"
    )
    first = "row_number() OVER (PARTITION BY coalesce(c.session_id, c.call_id) ORDER BY md5(c.call_id)) = 1"
    return store.rows(
        f"""
        SELECT c.seq, c.call_id, c.session_id, c.sampling_rate, c.language, c.input_chars, c.turn_depth,
               c.tool_count, c.attributes, {FRONTIER_MODEL} AS model,
               {wanted}
        FROM usable_calls c LEFT JOIN manifests m USING (manifest_id)
        WHERE c.task = $task AND coalesce(m.created_at > $moment, false) = $after {_from(begins)}
              {without(exclude)}
        {f"QUALIFY {first}" if one_a_session else ""}
        ORDER BY {order} LIMIT $limit
        """,  # noqa: S608 - fixed texts
        _parameters(task, exclude, moment, begins) | {"after": after, "limit": limit},
    )
