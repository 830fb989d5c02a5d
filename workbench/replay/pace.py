"""The pace of a task's production traffic, as far as its log and its eval tell it."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import UsageError
from workbench.records import DATED_SHARE
from workbench.replay.arrivals import Schedule, log_schedule, poisson_schedule
from workbench.specs import EvalConfig
from workbench.stats.wording import measured
from workbench.store import Store
from workbench.store.calls import volumes
from workbench.store.probes import Arrival, arrivals

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Calls in the order of the log, and when to send some of them at production's pace.

    `rate_known` says whether this is production's pace, or only that of the log,
    which may be a part of the traffic.
    """

    call_ids: tuple[str, ...]
    schedule: Schedule
    rate_known: bool
    notes: tuple[str, ...]


def pace_of(store: Store, eval_config: EvalConfig, limit: int, seed: int) -> Pace:
    """Read the pace off the log: a run of calls in its busiest hour.

    A log that holds a tenth of the traffic is sent ten times as fast. Without times,
    calls come at random (a Poisson process) at the mean rate of the eval's `calls_per_day`.

    Args:
        store: Holds the log.
        eval_config: The task's eval.
        limit: Calls to send at most.
        seed: Seed of what is random.

    Raises:
        UsageError: There are no calls, or nothing tells how often they come.
    """
    task = eval_config.task
    rows = arrivals(store, task)
    if not rows:
        raise UsageError(
            f"Task {task!r} has no calls.", f"Import its logs first: workbench import FILE --task {task}"
        )
    dated = [row for row in rows if row.occurred_at is not None]
    times = [row.occurred_at for row in dated if row.occurred_at is not None]
    schedule = log_schedule(times, limit, seed) if len(dated) >= DATED_SHARE * len(rows) else None
    if schedule is None:
        return _from_volume(rows, eval_config, limit, seed)
    factor, notes = _share_factor(store, eval_config, dated)
    if schedule.resolution_s:
        notes.append(
            f"The log's times are whole {'minutes' if schedule.resolution_s > 1 else 'seconds'}: calls were "
            "spread at random within them."
        )
    faster = schedule.faster(factor) if factor else schedule
    return Pace(tuple(row.call_id for row in dated), faster, factor is not None, tuple(notes))


def _from_volume(rows: list[Arrival], eval_config: EvalConfig, limit: int, seed: int) -> Pace:
    per_day = eval_config.calls_per_day
    if not per_day:
        raise UsageError(
            f"The log of task {eval_config.task!r} does not tell how often calls come: too few have a time, "
            "or the times are too coarse.",
            f"Set calls_per_day in {eval_config.root or 'evals/' + eval_config.task}/eval.toml, "
            "or import the log with --map time=COLUMN.",
        )
    note = (
        f"The log has no usable times: calls came at random at the mean rate of {per_day:,.0f} a day. "
        "Busy hours are busier: measure them with --speed."
    )
    ids = tuple(row.call_id for row in rows)
    return Pace(ids, poisson_schedule(len(ids), limit, per_day / DAY_S, seed), True, (note,))


def _share_factor(
    store: Store, eval_config: EvalConfig, dated: list[Arrival]
) -> tuple[float | None, list[str]]:
    """Return how many times faster than its log production is; None where nobody knows."""
    volume = volumes(store).get(eval_config.task)
    rate = volume.sampling_rate if volume else None
    first, last = dated[0].occurred_at, dated[-1].occurred_at
    if rate is not None:
        factor = 1 / rate
        why = f"The log holds {measured(rate)} of the traffic"
    elif eval_config.calls_per_day and first and last:
        days = max((last - first).total_seconds() / DAY_S, 1 / 24)
        factor = max(eval_config.calls_per_day * days / len(dated), 1.0)
        why = f"The eval states {eval_config.calls_per_day:,.0f} calls a day"
    else:
        return None, [
            "Nobody has said what share of the traffic the log holds, so this is the log's pace and not "
            "known to be production's: set calls_per_day in the eval; or undo the import (workbench import "
            "--undo MANIFEST) and import the log again with --sampling-rate. "
            "The decision does not count this probe until then."
        ]
    if factor <= 1.0001:
        return 1.0, []
    return factor, [f"{why}: its gaps are divided by {_plain(factor)}."]


def _plain(factor: float) -> str:
    """Return a factor with three digits at least, and no exponent."""
    return f"{factor:,.0f}" if factor >= 100 else f"{factor:.3g}"
