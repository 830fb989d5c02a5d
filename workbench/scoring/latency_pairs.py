"""The frontier's latency against the candidate's at production's pace, on the same calls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.access import requires
from workbench.config import Workspace
from workbench.records import Estimate, Policy
from workbench.roles import Right
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.specs import Candidate
from workbench.stats.latency_pairs import LatencyPair, compare_latencies
from workbench.stats.wording import plural
from workbench.store.probes import newest_probe, paired_latencies

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class PairedLatency:
    """p50, p95 and p99 of both models on `calls` calls that both have a latency for, or why there is none.

    `speed` is the probe's multiple of production's pace. A replay's latencies are never used.
    """

    calls: int
    speed: float | None
    measured_at: datetime | None
    pairs: tuple[LatencyPair, ...]
    reason: str = ""

    @property
    def lines(self) -> list[str]:
        """Return a line for each percentile, or the reason why there is none."""
        if not self.pairs:
            return [self.reason]
        return [
            f"p{pair.percentile * 100:g}: {ms(pair.candidate_ms)} against {ms(pair.control_ms)} of the "
            f"frontier, difference {ms(pair.difference_ms)}"
            for pair in self.pairs
        ]


def unmeasured(task: str, spec: Candidate) -> str:
    """Say that a candidate's latency at production's pace is not measured, and what to do."""
    if spec.engine == "recorded":
        return "The candidate is recorded: no model runs, so its latency can't be measured."
    return (
        "The candidate's latency at production's pace is not measured: "
        f"`workbench replay --task {task} --candidate {spec.name} --probe latency`."
    )


def ms(found: Estimate) -> str:
    """Return a latency in ms with its limits, `?` where one is not known and `never` where no answer came."""
    if found.point is None:
        return "unknown"
    if not math.isfinite(found.point):
        return "never"
    low, high = (f"{each:,.0f}" if math.isfinite(each) else "?" for each in (found.low, found.high))
    return f"{found.point:,.0f} ms ({low} to {high})"


@requires(Right.SEE)
def paired_latency(
    workspace: Workspace, store: Store, task: str, candidate: str, *, policy: Policy | None = None
) -> PairedLatency:
    """Compare the frontier's recorded latency with the candidate's, measured at production's pace.

    The newest probe at production's pace or the next above it, of the candidate as it is configured
    and served now. Limits are by the bootstrap over calls with a fixed seed, approximate and for one look.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds probes and the log.
        task: The task.
        candidate: The candidate's name.
        policy: Another policy than the eval's own; its level is that of each limit.

    Raises:
        UsageError: Task or candidate is unknown.
    """
    config = workspace.eval_for(task)
    refuse_control(candidate)
    spec = workspace.candidate(candidate)
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    probe = newest_probe(store, task, fingerprint, least_speed=1.0, serving=workspace.serving(spec))
    if probe is None:
        return PairedLatency(0, None, None, (), unmeasured(task, spec))
    found = paired_latencies(store, probe.probe_id)
    if not found:
        reason = "No probed call has a latency of the frontier in the log."
        return PairedLatency(0, probe.speed, probe.created_at, (), reason)
    control, observed = zip(*found, strict=True)
    pairs = compare_latencies(control, observed, (policy or config.policy).delta)
    return PairedLatency(len(found), probe.speed, probe.created_at, pairs)


def heading(found: PairedLatency) -> str:
    """Return what the lines are about."""
    return f"On {plural(found.calls, 'call')} at {found.speed:g} x production's pace, beside the log"
